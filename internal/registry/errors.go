package registry

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/signgate/signgate/internal/fault"
)

// fail turns an error without an answer into a fault. Nothing is known then,
// so it is undecided.
func (c *Client) fail(r request, err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fault.Undecidedf("registry_tls", "if the registry has a certificate of your own authority, give that authority's certificate as registry-ca",
			"the certificate of the registry of %s is not trusted: %w", r.repository, e.Err)
	}
	if e, ok := errors.AsType[*transport.Error](err); ok && e.StatusCode != 0 {
		return c.status(r, e.StatusCode, nil)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the URL, which can hold a signed query
	}
	if text := err.Error(); strings.Contains(text, "invalid realm in www-authenticate") || strings.Contains(text, "malformed www-authenticate") {
		return fault.Undecidedf("registry_realm", "give the token server a host name with HTTPS in the registry's configuration",
			"the registry of %s sends its logins to an address that is not trusted with them: %w", r.repository, err)
	}
	if strings.Contains(err.Error(), "no token in bearer response") { // the rest is what the token server said
		return fault.Undecidedf("registry_error", "tell the operator of its token server", "the token server of %s answered without a token", r.repository)
	}
	return fault.Transientf("registry_unreachable", "check the host name, the network and the proxy settings, then run again",
		"the registry of %s cannot be reached: %w", r.repository, err)
}

// status turns an HTTP status that is no answer into a fault. The body counts
// for nothing but the registry's own error code.
func (c *Client) status(r request, status int, body []byte) *fault.Error {
	code := errorCode(body)
	detail := strconv.Itoa(status) + " " + http.StatusText(status)
	if code != "" {
		detail += " (" + code + ")"
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fault.Undecidedf("registry_denied", mistake(hostOf(r.repository), r.push),
			"the registry refused to %s %s (%s) with %s", right(r.push), r.repository, detail, c.source(r.repository))
	case status == http.StatusTooManyRequests:
		return fault.Transientf("registry_throttled", "run again later, or lower concurrency", "the registry of %s answered %s to %s %s: it gets too many requests", r.repository, detail, r.method, r.path)
	case status >= 500 || status == http.StatusRequestTimeout || lagging(r, code):
		return fault.Transientf("registry_unavailable", "run again later", "the registry of %s answered %s to %s %s", r.repository, detail, r.method, r.path)
	}
	next := "check that the registry accepts OCI manifests"
	if code == "NAME_UNKNOWN" {
		next = "create the repository, or check its name: this registry does not make one by itself"
	}
	return fault.Undecidedf("registry_error", next, "the registry of %s answered %s to %s %s", r.repository, detail, r.method, r.path)
}

// lagging reports whether the answer to a manifest says that a blob is not
// there, which was uploaded before: some registries take a moment.
func lagging(r request, code string) bool {
	return r.method == http.MethodPut && (code == "MANIFEST_BLOB_UNKNOWN" || code == "BLOB_UNKNOWN")
}

func right(push bool) string {
	if push {
		return "push to"
	}
	return "read"
}

func (c *Client) source(repository string) string {
	if c.opts.Source != nil {
		s := c.opts.Source(hostOf(repository))
		if rest, anonymous := strings.CutPrefix(s, "anonymous"); !anonymous && s != "" {
			return "credentials from " + s
		} else if anonymous {
			return "no credentials" + rest
		}
	}
	return "no credentials"
}

func tooLarge(repository, what string, limit int64) error {
	return fault.Undecidedf("limit_exceeded", "find out who wrote it, and delete it if it does not belong there",
		"%s in %s is larger than the limit of %d bytes", what, repository, limit)
}

const distrust = "do not use this image; the registry or something before it is broken or hostile"

func mismatch(repository, want, got string) error {
	return fault.Refusedf("content_mismatch", distrust,
		"%s was asked for %s and returned content with the digest %s", repository, want, got)
}

func malformed(repository, tag string, err error) error {
	return fault.Refusedf("signature_malformed", "find out who wrote it, delete the tag and sign again",
		"the manifest at %s:%s is malformed: %w", repository, tag, err)
}

var wordy = regexp.MustCompile(`^[A-Z_]{1,40}$`)

// errorCode returns the first error code of a registry's error body, and ""
// when it has none. The message beside it is the registry's and is not
// repeated.
func errorCode(body []byte) string {
	var e struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &e) != nil || len(e.Errors) == 0 || !wordy.MatchString(e.Errors[0].Code) {
		return ""
	}
	return e.Errors[0].Code
}
