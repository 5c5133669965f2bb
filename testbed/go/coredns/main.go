// Command coredns is the cluster DNS of the test bed: CoreDNS with the few plugins that the bed's configuration names.
//
// CoreDNS's own program brings forty plugins and the clients of three clouds; leaving them out makes the build a
// quarter as long.
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() {
	coremain.Run()
}
