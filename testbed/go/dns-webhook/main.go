// Command dns-webhook is a DNS webhook as people write them for cert-manager, on cert-manager's own Go module: it changes
// the zones of the test bed's DNS server.
//
// Like many of them it reads the values at a name, changes them and writes them back, so two calls at the same time for
// one name lose a value.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cert-manager/cert-manager/pkg/acme/webhook/apis/acme/v1alpha1"
	"github.com/cert-manager/cert-manager/pkg/acme/webhook/cmd"
	"github.com/miekg/dns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	ttl     = 60
	timeout = 5 * time.Second
)

func main() {
	// As the flags are those of an API server: from the environment, like the example webhook that others start from.
	cmd.RunWebhookServer(os.Getenv("GROUP_NAME"), &solver{name: os.Getenv("SOLVER_NAME")})
}

type solver struct {
	name   string
	client kubernetes.Interface
}

// config is what an issuer's `webhook.config` holds.
type config struct {
	Server        string    `json:"server"`
	TSIGKeyName   string    `json:"tsigKeyName"`
	TSIGSecretRef secretRef `json:"tsigSecretRef"`
	// Milliseconds between reading and writing.
	Hesitation int `json:"hesitation"`
	// Milliseconds before each answer.
	Delay int `json:"delay"`
	// What every call is refused with.
	Refusal string `json:"refusal"`
}

type secretRef struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

func (s *solver) Name() string { return s.name }

func (s *solver) Initialize(kubeClientConfig *rest.Config, _ <-chan struct{}) error {
	client, err := kubernetes.NewForConfig(kubeClientConfig)
	s.client = client
	return err
}

func (s *solver) Present(challenge *v1alpha1.ChallengeRequest) error {
	return s.change(challenge, func(values []string) []string {
		if slices.Contains(values, challenge.Key) {
			return values
		}
		return append(values, challenge.Key)
	})
}

func (s *solver) CleanUp(challenge *v1alpha1.ChallengeRequest) error {
	return s.change(challenge, func(values []string) []string {
		return slices.DeleteFunc(values, func(value string) bool { return value == challenge.Key })
	})
}

func (s *solver) change(challenge *v1alpha1.ChallengeRequest, edit func([]string) []string) error {
	settings := config{}
	if challenge.Config == nil {
		return errors.New("no config was given")
	}
	if err := json.Unmarshal(challenge.Config.Raw, &settings); err != nil {
		return fmt.Errorf("the config cannot be read: %w", err)
	}
	time.Sleep(time.Duration(settings.Delay) * time.Millisecond)
	if settings.Refusal != "" {
		return errors.New(settings.Refusal)
	}
	secret, err := s.secret(challenge.ResourceNamespace, settings.TSIGSecretRef)
	if err != nil {
		return err
	}
	client := &dns.Client{Net: "tcp", Timeout: timeout, TsigSecret: map[string]string{dns.Fqdn(settings.TSIGKeyName): secret}}
	values, err := read(client, settings, challenge.ResolvedFQDN)
	if err != nil {
		return err
	}
	time.Sleep(time.Duration(settings.Hesitation) * time.Millisecond)
	return write(client, settings, challenge, edit(values))
}

func (s *solver) secret(namespace string, reference secretRef) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	secret, err := s.client.CoreV1().Secrets(namespace).Get(ctx, reference.Name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	value, found := secret.Data[reference.Key]
	if !found {
		return "", fmt.Errorf("the Secret %s/%s has no entry %q", namespace, reference.Name, reference.Key)
	}
	return strings.TrimSpace(string(value)), nil
}

func read(client *dns.Client, settings config, name string) ([]string, error) {
	question := new(dns.Msg)
	question.SetQuestion(name, dns.TypeTXT)
	answer, err := exchange(client, settings, question)
	if err != nil {
		return nil, err
	}
	var values []string
	for _, record := range answer.Answer {
		if text, isText := record.(*dns.TXT); isText && strings.EqualFold(record.Header().Name, name) {
			values = append(values, strings.Join(text.Txt, ""))
		}
	}
	return values, nil
}

func write(client *dns.Client, settings config, challenge *v1alpha1.ChallengeRequest, values []string) error {
	update := new(dns.Msg)
	update.SetUpdate(challenge.ResolvedZone)
	header := dns.RR_Header{Name: challenge.ResolvedFQDN, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: ttl}
	update.RemoveRRset([]dns.RR{&dns.TXT{Hdr: header}})
	for _, value := range values {
		update.Insert([]dns.RR{&dns.TXT{Hdr: header, Txt: []string{value}}})
	}
	answer, err := exchange(client, settings, update)
	if err == nil && answer.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("the DNS server refused the update: %s", dns.RcodeToString[answer.Rcode])
	}
	return err
}

func exchange(client *dns.Client, settings config, message *dns.Msg) (*dns.Msg, error) {
	message.SetTsig(dns.Fqdn(settings.TSIGKeyName), dns.HmacSHA256, 300, time.Now().Unix())
	answer, _, err := client.Exchange(message, settings.Server)
	return answer, err
}
