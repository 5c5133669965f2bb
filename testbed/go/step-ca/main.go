// Command step-ca is the second ACME CA of the test bed: Smallstep's own packages, without the key stores of clouds and
// smart cards that its program brings along.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/smallstep/certificates/acme"
	"github.com/smallstep/certificates/authority/config"
	"github.com/smallstep/certificates/ca"
	_ "github.com/smallstep/certificates/cas/softcas"
	_ "go.step.sm/crypto/kms/softkms"
)

const dialTimeout = 5 * time.Second

func main() {
	configPath := flag.String("config", "", "configuration file (JSON, as step-ca's)")
	resolver := flag.String("resolver", "", "host:port of the DNS server that validations ask")
	flag.IntVar(&acme.InsecurePortHTTP01, "acme-http-port", 0, "port of http-01 validations")
	flag.IntVar(&acme.InsecurePortTLSALPN01, "acme-tls-port", 0, "port of tls-alpn-01 validations")
	flag.Parse()
	// No search domain of this machine applies to the names that are validated.
	acme.StrictFQDN = true
	if err := run(*configPath, *resolver); err != nil {
		fmt.Fprintln(os.Stderr, "step-ca:", err)
		os.Exit(1)
	}
}

func run(configPath, resolver string) error {
	configuration, err := config.LoadConfiguration(configPath)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	net.DefaultResolver.PreferGo = true
	net.DefaultResolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, resolver)
	}
	server, err := ca.New(configuration, ca.WithConfigFile(configPath), ca.WithQuiet(true))
	if err != nil {
		return err
	}
	go ca.StopReloaderHandler(server)
	if err := server.Run(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
