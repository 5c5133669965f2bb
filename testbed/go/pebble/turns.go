package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/letsencrypt/pebble/v2/acme"
	"github.com/letsencrypt/pebble/v2/db"
)

const (
	maxBodyBytes = 1 << 20
	// finalizePath is where Pebble serves "finalize"; the rest of the path is the order's id.
	finalizePath = "/finalize-order/"
	// authorizationPath is where it serves authorizations.
	authorizationPath = "/authZ/"
	// issueWait bounds how long a finalize keeps its turn for the issuance that it started.
	issueWait = time.Second
	// stuckAfter is far above what any request needs (milliseconds); beyond it Pebble has deadlocked after all.
	stuckAfter = 30 * time.Second
)

// turnTaker lets one request at a time into Pebble. Neither a slow reader nor a slow writer keeps the turn: the body
// is read before it and the answer is sent after it.
type turnTaker struct {
	pebble http.Handler
	store  *db.MemoryStore
	logger *log.Logger
	turn   sync.Mutex
}

func newTurnTaker(pebble http.Handler, store *db.MemoryStore, logger *log.Logger) *turnTaker {
	return &turnTaker{pebble: pebble, store: store, logger: logger}
}

func (t *turnTaker) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, maxBodyBytes))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(response, err.Error(), status)
		return
	}
	request.Body = io.NopCloser(bytes.NewReader(body))

	answer := httptest.NewRecorder()
	t.inTurn(answer, request)

	for name, values := range answer.Header() {
		response.Header()[name] = values
	}
	response.WriteHeader(answer.Code)
	// A client that went away is no concern of the CA.
	_, _ = answer.Body.WriteTo(response)
}

func (t *turnTaker) inTurn(answer *httptest.ResponseRecorder, request *http.Request) {
	t.turn.Lock()
	defer t.turn.Unlock()
	watchdog := time.AfterFunc(stuckAfter, func() { t.giveUp(request) })
	defer watchdog.Stop()
	t.pebble.ServeHTTP(answer, request)
	if id, ok := strings.CutPrefix(request.URL.Path, finalizePath); ok {
		t.awaitIssuance(id)
	}
	if id, ok := strings.CutPrefix(request.URL.Path, authorizationPath); ok && answer.Code == http.StatusOK {
		t.releaseChallenges(id, answer.Body.Bytes())
	}
}

// releaseChallenges unlocks the challenges that Pebble left locked: of an authorization that is decided it shows only the
// challenges that decided it, and does not give back the read locks of the others. Whoever posts to one of those later
// would wait for ever, and all others behind it.
func (t *turnTaker) releaseChallenges(authorizationID string, answer []byte) {
	shown := acme.Authorization{}
	authorization := t.store.GetAuthorizationByID(authorizationID)
	if authorization == nil || json.Unmarshal(answer, &shown) != nil || shown.Status == acme.StatusPending {
		return
	}
	for _, challenge := range authorization.Challenges {
		isThis := func(other acme.Challenge) bool { return other.URL == challenge.URL }
		if !slices.ContainsFunc(shown.Challenges, isThis) {
			challenge.RUnlock()
		}
	}
}

// awaitIssuance keeps the turn until the goroutine that "finalize" started has written its certificate to the order:
// fetching an order takes the order's read lock twice, and a writer that arrives between the two stops both for good.
func (t *turnTaker) awaitIssuance(orderID string) {
	for deadline := time.Now().Add(issueWait); time.Now().Before(deadline); time.Sleep(200 * time.Microsecond) {
		order := t.store.GetOrderByID(orderID)
		if order == nil {
			return
		}
		if status, err := order.GetStatus(); err != nil || status != acme.StatusProcessing {
			return
		}
	}
}

func (t *turnTaker) giveUp(request *http.Request) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	t.logger.Printf("deadlock: %s %s has not returned in %s; all goroutines:\n%s", request.Method, request.URL.Path, stuckAfter, stacks)
	os.Exit(3)
}
