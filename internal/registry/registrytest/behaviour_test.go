package registrytest_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// TestModes: each mode takes an image and serves it.
func TestModes(t *testing.T) {
	for _, mode := range registrytest.Modes() {
		s := registrytest.Start(t, mode)
		digest := s.Push(t, "app:1")
		want := http.StatusOK
		if mode == registrytest.Token {
			want = http.StatusUnauthorized
		}
		ask(t, s, http.MethodGet, "app/manifests/"+digest, "").want(t, string(mode), want)
		if s.Writes() == 0 {
			t.Errorf("%s: no writes were noted", mode)
		}
	}
}

// TestServe: an interceptor can change what the registry answers.
func TestServe(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	digest := s.Push(t, "app:1")
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		rec := httptest.NewRecorder()
		s.Serve(rec, r)
		w.WriteHeader(rec.Code + 1)
		return true
	})
	ask(t, s, http.MethodHead, "app/manifests/"+digest, "").want(t, "changed", http.StatusCreated)
	s.Intercept(nil)
	ask(t, s, http.MethodHead, "app/manifests/"+digest, "").want(t, "unchanged", http.StatusOK)
}

// TestDelay: a request is noted when it comes in and answered later.
func TestDelay(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	s.Delay(200 * time.Millisecond)
	began, done := time.Now(), make(chan time.Duration)
	go func() {
		ask(t, s, http.MethodGet, "", "").want(t, "delayed", http.StatusOK)
		done <- time.Since(began)
	}()
	time.Sleep(100 * time.Millisecond)
	if got := s.Requests(); !slices.Equal(got, []string{"GET /v2/"}) {
		t.Errorf("while it waits: %q", got)
	}
	if d := <-done; d < 200*time.Millisecond {
		t.Errorf("answered after %s", d)
	}
	s.Delay(0)
	began = time.Now()
	ask(t, s, http.MethodGet, "", "")
	if d := time.Since(began); d > 150*time.Millisecond {
		t.Errorf("without a delay: %s", d)
	}
}

// TestRateLimit: the first n of a second pass, the rest is told when to come
// again.
func TestRateLimit(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	s.RateLimit(3)
	var passed, refused int
	for range 9 {
		switch a := ask(t, s, http.MethodGet, "", ""); {
		case a.status == http.StatusOK:
			passed++
		case a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") == "1":
			refused++
		}
	}
	if passed < 3 || passed > 6 || passed+refused != 9 {
		t.Errorf("%d passed, %d were refused", passed, refused)
	}
	time.Sleep(time.Second)
	ask(t, s, http.MethodGet, "", "").want(t, "a second later", http.StatusOK)
	s.RateLimit(0)
	for range 9 {
		ask(t, s, http.MethodGet, "", "").want(t, "no limit", http.StatusOK)
	}
}

// TestSetters: behaviour may change while requests are served.
func TestSetters(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	subject := s.Push(t, "app:1")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 20 {
				ask(t, s, http.MethodGet, "app/referrers/"+subject, "")
				refer(t, s, subject, "application/x", "application/y", i)
			}
		})
	}
	for range 20 {
		s.Delay(time.Millisecond)
		s.SinglePost(false)
		s.FilterReferrers(true)
		s.ImmutableTags(true)
		s.RateLimit(1e6)
		s.Intercept(func(http.ResponseWriter, *http.Request) bool { return false })
		s.Requests()
	}
	wg.Wait()
}

// TestTLS: the registry is trusted through its CA and not without.
func TestTLS(t *testing.T) {
	for _, mode := range []registrytest.Mode{registrytest.Referrers, registrytest.Token} {
		s, ca := registrytest.StartTLS(t, mode)
		if s.Push(t, "app:1") == "" {
			t.Error("no digest")
		}
		if _, err := http.Get("https://" + s.Host + "/v2/"); err == nil {
			t.Errorf("%s: trusted without its CA", mode)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(ca)) {
			t.Fatalf("no PEM: %q", ca)
		}
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
		resp, err := client.Get("https://" + s.Host + "/v2/")
		if err != nil {
			t.Fatal(mode, err)
		}
		resp.Body.Close()
	}
}
