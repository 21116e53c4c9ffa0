package registry

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/retry"
)

// robot has one password for every registry.
type robot struct{}

func (robot) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "robot", Password: "s3cr3t"}, nil
}

// scripted is a network in which r.example answers with a challenge, and every
// other place with a token.
type scripted struct {
	challenge, token, link string
	page                   []byte
	letters                []string // where credentials went
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		data, _ := io.ReadAll(r.Body)
		body = string(data)
	}
	if r.Header.Get("Authorization") != "" || strings.Contains(body, "s3cr3t") {
		s.letters = append(s.letters, r.URL.Scheme+"://"+r.URL.Host)
	}
	answer := func(status int, text string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Request: r, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(text)), Body: io.NopCloser(strings.NewReader(text)),
			Header: http.Header{"Www-Authenticate": {s.challenge}, "Content-Type": {"application/vnd.oci.image.index.v1+json"}, "Link": {s.link}}}, nil
	}
	switch {
	case r.URL.Host != "r.example":
		return answer(200, s.token)
	case strings.Contains(r.URL.Path, "/referrers/"):
		return answer(200, string(s.page))
	}
	return answer(401, "")
}

// FuzzLogin: whatever a registry says about its logins, tokens and pages, the
// password goes over HTTPS, and pages are asked for at the registry itself.
func FuzzLogin(f *testing.F) {
	f.Add(`Bearer realm="https://auth.example/token",service="r",scope="x"`, `{"token":"t"}`, "")
	f.Add(`Basic realm="x"`, ``, `<https://evil.example/v2/app/referrers/x?n=2>; rel="next"`)
	f.Add(`Bearer realm="http://169.254.169.254/",service=""`, `{"access_token":1}`, `</v2/app/referrers/x>; rel=next`)
	f.Add(`bEARER REALM=x`, `{"token":"a\r\nb: c"}`, `<//evil.example>; rel="next"`)
	f.Add(`Bearer realm="https://r.example@evil.example/"`, `{}`, `<http://r.example/x>;rel=next`)
	s := fuzzSubject()
	f.Fuzz(func(t *testing.T, challenge, token, link string) {
		net := &scripted{challenge: challenge, token: token, link: link, page: []byte(`{"schemaVersion":2,"manifests":[]}`)}
		c := New(Options{Keychain: robot{}, Transport: net, Retry: retry.Policy{Attempts: 1}})
		_, p, err := c.Manifest(context.Background(), s.Repository, "1")
		if p == Found || p == Absent || err == nil || fault.CodeOf(err) == "internal" {
			t.Errorf("%q, %q: %v, %v", challenge, token, p, err)
		}
		l := c.View(s).listing(context.Background())
		if l.err != nil && fault.CodeOf(l.err) == "internal" {
			t.Errorf("%q, %q, %q: %v", challenge, token, link, l.err)
		}
		for _, to := range net.letters {
			if host := strings.TrimPrefix(to, "http://"); host != to && !plain(host, nil) {
				t.Errorf("%q: credentials went to %s", challenge, to)
			}
		}
	})
}

// FuzzNext: the next page of a list is on the same host, whatever the link says.
func FuzzNext(f *testing.F) {
	for _, seed := range []string{`</v2/app/referrers/x?n=1>; rel="next"`, `<?n=1>; rel=next`, `<https://evil.example/>; rel="next"`, `<//evil.example>; rel="next"`, `<\\evil.example>; rel=next`, `<https:evil.example>;rel=next`, `< >;rel=next`, `<http://r.example/>;rel=next`} {
		f.Add(seed)
	}
	s := fuzzSubject()
	c := New(Options{Keychain: robot{}, Transport: &scripted{challenge: `Basic realm="x"`}})
	f.Fuzz(func(t *testing.T, link string) {
		next, err := c.next(context.Background(), s, link)
		if err == nil && next != "" && !strings.HasPrefix(next, "https://r.example/") && next != "https://r.example" && !strings.HasPrefix(next, "https://r.example?") {
			t.Errorf("%q leads to %q", link, next)
		}
	})
}

// FuzzReferrer: a manifest of a bundle or of signatures is read or refused.
func FuzzReferrer(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"sha256:1"},"layers":[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","digest":"sha256:2","size":-1}]}`))
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"x"},"layers":[{"annotations":{"dev.cosignproject.cosign/signature":"AA=="}}],"annotations":{"a":"b"}}`))
	f.Add([]byte(`{"layers":null,"Layers":[{}],"config":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c := envelope.Candidate{Format: envelope.Bundle, Manifest: image.DigestOf(body)}
		m, err := parseReferrer(c, body)
		if err == nil && len(m.Layers) != 1 {
			t.Errorf("%q: %d layers", body, len(m.Layers))
		}
		if _, err := parseSignatures("r.example/app", "x", Manifest{Digest: c.Manifest, MediaType: "application/vnd.oci.image.manifest.v1+json", Body: body}); err != nil && fault.OutcomeOf(err) != fault.Refused {
			t.Errorf("%q: %v", body, err)
		}
	})
}
