// Command lego lets lego's own client of the DNS provider httpreq add and remove values, one after the other. Its
// settings are lego's environment variables (HTTPREQ_ENDPOINT, HTTPREQ_MODE ...).
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-acme/lego/v5/providers/dns/httpreq"
)

const (
	timeout   = time.Minute
	arguments = 4
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run takes any number of groups of four: present or cleanup, the domain, the token, the key authorization.
func run(given []string) error {
	if len(given) == 0 || len(given)%arguments != 0 {
		return fmt.Errorf("usage: lego {present | cleanup} DOMAIN TOKEN KEY-AUTHORIZATION ...")
	}
	provider, err := httpreq.NewDNSProvider()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	change := map[string]func(ctx context.Context, domain, token, keyAuth string) error{
		"present": provider.Present,
		"cleanup": provider.CleanUp,
	}
	for ; len(given) > 0; given = given[arguments:] {
		act, known := change[given[0]]
		if !known {
			return fmt.Errorf("%q is neither present nor cleanup", given[0])
		}
		if err := act(ctx, given[1], given[2], given[3]); err != nil {
			return err
		}
	}
	return nil
}
