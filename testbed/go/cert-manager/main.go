// Command cert-manager is cert-manager's controller, made of its own packages: what its program runs, without the flags
// that the test bed does not set.
//
// It takes the Lease that the real one takes, so that what waits for the Lease has something to wait for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	_ "github.com/cert-manager/cert-manager/pkg/controller/acmechallenges"
	_ "github.com/cert-manager/cert-manager/pkg/controller/acmeorders"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim/gateways"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim/ingresses"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/acme"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/acme"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const (
	lease           = "cert-manager-controller"
	leaseDuration   = 15 * time.Second
	renewDeadline   = 10 * time.Second
	retryPeriod     = 2 * time.Second
	workers         = 2
	challenges      = 60
	propagationLook = time.Second
	gatewayShim     = "gateway-shim"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "path of a kubeconfig")
	resources := flag.String("cluster-resource-namespace", "kube-system", "where the Secrets of ClusterIssuers are")
	leases := flag.String("leader-election-namespace", "kube-system", "where the Lease is")
	nameservers := flag.String("dns01-recursive-nameservers", "", "resolvers, separated by commas")
	controllers := flag.String("controllers", "*", "all, without those that are named after a hyphen")
	gateways := flag.Bool("enable-gateway-api", false, "make Certificates for Gateways, whose CRDs have to be there")
	only := flag.Bool("dns01-recursive-nameservers-only", false, "ask no authoritative server")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	options := controller.ContextOptions{
		Kubeconfig:    *kubeconfig,
		IssuerOptions: controller.IssuerOptions{ClusterResourceNamespace: *resources},
		ACMEOptions: controller.ACMEOptions{
			DNS01CheckAuthoritative: !*only,
			DNS01Nameservers:        slices.DeleteFunc(strings.Split(*nameservers, ","), func(one string) bool { return one == "" }),
			DNS01CheckRetryPeriod:   propagationLook,
		},
		CertificateOptions: controller.CertificateOptions{
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
		IngressShimOptions: controller.IngressShimOptions{
			DefaultIssuerKind:  "Issuer",
			DefaultIssuerGroup: "cert-manager.io",
		},
		SchedulerOptions: controller.SchedulerOptions{MaxConcurrentChallenges: challenges},
		ConfigOptions:    controller.ConfigOptions{EnableGatewayAPI: *gateways},
	}
	without := strings.Split(*controllers, ",")
	if !*gateways {
		without = append(without, "-"+gatewayShim)
	}
	work := func(ctx context.Context) error { return run(ctx, options, without) }
	if err := lead(ctx, *kubeconfig, *leases, work); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// lead runs a function while this process holds the Lease, which it gives up at the end.
func lead(ctx context.Context, kubeconfig, namespace string, run func(context.Context) error) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	var failure error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: lease},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: fmt.Sprintf("testbed-%d", os.Getpid())},
		},
		LeaseDuration:   leaseDuration,
		RenewDeadline:   renewDeadline,
		RetryPeriod:     retryPeriod,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				failure = run(ctx)
				cancel()
			},
			OnStoppedLeading: func() {},
		},
	})
	return failure
}

// run runs every controller that is imported, but for those that are named after a hyphen, until the context ends.
func run(ctx context.Context, options controller.ContextOptions, without []string) error {
	factory, err := controller.NewContextFactory(ctx, options)
	if err != nil {
		return err
	}
	shared, err := factory.Build()
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	errs := make(chan error, len(controller.Known()))
	for name, construct := range controller.Known() {
		if slices.Contains(without, "-"+name) {
			continue
		}
		made, err := construct(factory)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		group.Go(func() { errs <- made.Run(workers, ctx) })
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	shared.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	if options.EnableGatewayAPI {
		shared.GWShared.Start(ctx.Done())
	}
	fmt.Println("serving")
	group.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}
