// Command web is a pod to look at the test bed with.
//
// GET / tells the host that was asked for and the pod that answers. GET /fetch?url=U makes the request U from inside
// the pod and passes the answer on. GET /.well-known/acme-challenge/TOKEN answers any HTTP-01 challenge for the account
// key whose thumbprint is in the environment variable THUMBPRINT. GET /write tries to write a file and tells how that went.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

const (
	address  = ":8080"
	maxBytes = 1 << 20
	patience = 5 * time.Second
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", hello)
	mux.HandleFunc("GET /fetch", fetch)
	mux.HandleFunc("GET /write", write)
	mux.HandleFunc("GET /.well-known/acme-challenge/{token}", prove)
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: patience}
	log.Fatal(server.ListenAndServe())
}

func hello(answer http.ResponseWriter, request *http.Request) {
	name, _ := os.Hostname()
	fmt.Fprintf(answer, "hello from %s on %s\n", request.Host, name)
}

func fetch(answer http.ResponseWriter, request *http.Request) {
	// A connection of its own each time: what is asked is whether one can be made.
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	url := request.URL.Query().Get("url")
	log.Printf("asks for %q", url)
	got, err := client.Get(url)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadGateway)
		return
	}
	defer got.Body.Close()
	answer.WriteHeader(got.StatusCode)
	if _, err := io.Copy(answer, io.LimitReader(got.Body, maxBytes)); err != nil {
		log.Print("fetch: ", err)
	}
}

func write(answer http.ResponseWriter, _ *http.Request) {
	if err := os.WriteFile("/written", nil, 0o600); err != nil {
		fmt.Fprintln(answer, err)
		return
	}
	fmt.Fprintln(answer, "written")
}

func prove(answer http.ResponseWriter, request *http.Request) {
	fmt.Fprintf(answer, "%s.%s", request.PathValue("token"), os.Getenv("THUMBPRINT"))
}
