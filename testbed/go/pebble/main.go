// Command pebble is the ACME CA of the test bed: Pebble's own packages, served so that it stays alive under load.
//
// Pebble's program deadlocks when many orders are in flight: one request locks an authorization and then reads the
// store, another reads the store and then locks authorizations, and a writer between the two stops all of them. Here
// requests to the ACME interface take turns, which costs nothing because each is a matter of microseconds.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// settings are the members of Pebble's configuration file that the test bed writes; names and meaning are Pebble's.
type settings struct {
	ListenAddress                  string
	ManagementListenAddress        string
	Certificate                    string
	PrivateKey                     string
	HTTPPort                       int
	TLSPort                        int
	ExternalAccountBindingRequired bool
	ExternalAccountMACKeys         map[string]string
	CAAIdentities                  []string
	DomainBlocklist                []string
	KeyAlgorithm                   string
	Profiles                       map[string]ca.Profile
	RetryAfter                     struct{ Authz, Order int }
}

func main() {
	configPath := flag.String("config", "", "configuration file (JSON, as Pebble's)")
	strict := flag.Bool("strict", false, "refuse what the RFC forbids")
	dnsServer := flag.String("dnsserver", "", "host:port of the DNS server that validations ask")
	flag.Parse()
	if err := run(*configPath, *strict, *dnsServer); err != nil {
		fmt.Fprintln(os.Stderr, "pebble:", err)
		os.Exit(1)
	}
}

func run(configPath string, strict bool, dnsServer string) error {
	config, err := readSettings(configPath)
	if err != nil {
		return err
	}
	logger := log.New(os.Stdout, "pebble ", log.LstdFlags|log.Lmicroseconds)
	store := db.NewMemoryStore()
	for id, key := range config.ExternalAccountMACKeys {
		if err := store.AddExternalAccountKeyByID(id, key); err != nil {
			return fmt.Errorf("external account key %q: %w", id, err)
		}
	}
	for _, name := range config.DomainBlocklist {
		if err := store.AddBlockedDomain(name); err != nil {
			return fmt.Errorf("blocked domain %q: %w", name, err)
		}
	}
	authority := ca.New(logger, store, "", config.KeyAlgorithm,
		numberFromEnvironment("PEBBLE_ALTERNATE_ROOTS", 0), numberFromEnvironment("PEBBLE_CHAIN_LENGTH", 1), config.Profiles)
	validator := va.New(logger, config.HTTPPort, config.TLSPort, strict, dnsServer, store)
	frontEnd := wfe.New(logger, store, validator, authority, config.CAAIdentities, strict,
		config.ExternalAccountBindingRequired, config.RetryAfter.Authz, config.RetryAfter.Order)

	turns := newTurnTaker(frontEnd.Handler(), store, logger)
	failed := make(chan error, 2)
	serve := func(address string, handler http.Handler) {
		server := &http.Server{
			Addr: address, Handler: handler, ErrorLog: logger,
			ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		}
		failed <- server.ListenAndServeTLS(config.Certificate, config.PrivateKey)
	}
	go serve(config.ManagementListenAddress, frontEnd.ManagementHandler())
	go serve(config.ListenAddress, turns)
	return <-failed
}

func readSettings(path string) (*settings, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	file := struct{ Pebble settings }{}
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("the configuration %s: %w", path, err)
	}
	config := &file.Pebble
	if config.KeyAlgorithm != "rsa" && config.KeyAlgorithm != "ecdsa" {
		return nil, fmt.Errorf("keyAlgorithm is %q, it must be rsa or ecdsa", config.KeyAlgorithm)
	}
	if len(config.Profiles) == 0 || len(config.CAAIdentities) == 0 {
		return nil, errors.New("the configuration must name at least one profile and one CAA identity")
	}
	return config, nil
}

func numberFromEnvironment(name string, otherwise int) int {
	if value, err := strconv.Atoi(os.Getenv(name)); err == nil && value >= 0 {
		return value
	}
	return otherwise
}
