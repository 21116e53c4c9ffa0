package hashivault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/fault"
)

var errTooLarge = errors.New("the answer is larger than any of Vault")

// explain turns an answer that is no success into a fault. Texts decide where
// one status has several meanings: a version that may not sign is HTTP 500
// (sdk/logical/response_util.go, sdk/helper/keysutil/policy.go).
func (s *session) explain(c call, resp *http.Response, body []byte) error {
	text := s.texts(body)
	said := fmt.Sprintf("%s (HTTP %d)", s.said(text), resp.StatusCode)
	has := func(part string) bool { return strings.Contains(text, part) }
	switch status := resp.StatusCode; {
	case status < 400:
		return s.explainRedirect(c, resp)
	case status == http.StatusServiceUnavailable && has("is sealed"):
		return fault.Undecidedf("vault_sealed", "unseal it, or set VAULT_ADDR to a node that is unsealed", "%s is sealed, so it did not %s: %s", s.server(), c.what, said)
	case status == http.StatusTooManyRequests:
		return after(resp, fault.Transientf("kms_throttled", "run the command again, or raise the rate limit quota", "%s throttled the request to %s: %s", s.server(), c.what, said))
	case has("less than the minimum encryption key version"):
		return fault.Refusedf("kms_key_disabled", "use a newer version, or none for the latest, and update expected-key", "%s may not %s in this version any more: %s", s.server(), c.what, said)
	case has("higher than the latest key version"), has("signing key not found"):
		return s.notFound(c, said)
	case has("does not support signing"), has("private part"), status == http.StatusMethodNotAllowed:
		return fault.Configf("kms_invalid_usage", "use a transit key of the type ecdsa-p256", "%s cannot %s: %s", s.server(), c.what, said)
	case status >= 500, status == http.StatusPreconditionFailed, status == 472, status == 473: // standby and replication nodes, sys/health
		return after(resp, fault.Transientf("kms_unavailable", "run the command again", "%s did not %s: %s", s.server(), c.what, said))
	case c.login:
		return fault.Undecidedf("vault_login_failed", "check the role, what it is bound to, VAULT_AUTH_PATH and the namespace", "%s refused to %s: %s", s.server(), c.what, said)
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		return fault.Undecidedf("kms_access_denied", "check that the token is valid, that its policy has read on "+s.keyPath()+" and update on "+s.mount+"/sign/"+s.name+"/*, and the namespace",
			"%s denied the request to %s: %s", s.server(), c.what, said)
	case status == http.StatusNotFound:
		return s.notFound(c, said)
	}
	return fault.Undecidedf("kms_unexpected", "look the text up in the documentation of the transit engine", "%s did not %s: %s", s.server(), c.what, said)
}

func (s *session) notFound(c call, said string) error {
	return fault.Configf("kms_key_not_found", "check the name, the version, ?mount= (now "+s.mount+") and ?namespace= (now "+s.namespaceName()+")", "%s found nothing to %s: %s", s.server(), c.what, said)
}

func (s *session) namespaceName() string {
	if s.namespace == "" {
		return "none"
	}
	return s.namespace
}

// explainRedirect names the host of a Location, and nothing else of it.
func (s *session) explainRedirect(c call, resp *http.Response) error {
	where := "another place"
	if u, err := resp.Location(); err == nil && u.Host != "" {
		where = s.said(u.Scheme + "://" + u.Host)
	}
	return fault.Undecidedf("vault_redirected", "set "+s.env.prefix+"ADDR to the address of the active node or of the load balancer", "%s redirects the request to %s to %s, where signgate sends no token",
		s.server(), c.what, where)
}

// explainTransport reports that no answer came, or half of one.
func (s *session) explainTransport(ctx context.Context, c call, err error) error {
	if ctx.Err() != nil {
		code := "interrupted"
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			code = "timeout"
		}
		return fault.Undecidedf(code, "run the command again", "the request to %s was cut short: %w", c.what, ctx.Err())
	}
	if errors.Is(err, errTooLarge) {
		return s.unexpected(c.what, err.Error())
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fault.Undecidedf("kms_tls", "give its authority as "+s.env.prefix+"CACERT (a PEM file); there is no way to skip this check", "the certificate of %s is not trusted: %s",
			s.server(), clean(cert.Err.Error()))
	}
	return fault.Transientf("kms_unavailable", "check "+s.env.prefix+"ADDR and the network, and run the command again", "%s did not answer the request to %s: %s",
		s.server(), c.what, s.said(network(err)))
}

// network says what went wrong on the way, without the URL.
func network(err error) string {
	if sent, ok := errors.AsType[*url.Error](err); ok {
		err = sent.Err
	}
	if strings.Contains(err.Error(), "invalid proxy") {
		return "the proxy variable is not a URL" // net/http repeats it, with its password
	}
	return err.Error()
}

// unexpected reports an answer that a transit engine would not give.
func (s *session) unexpected(what, why string) error {
	return fault.Undecidedf("kms_unexpected", "check what answers in place of the server", "the answer of %s to the request to %s is not understood: %s", s.server(), what, clean(why))
}

// texts returns the errors of an answer, or nothing when it has none.
func (s *session) texts(body []byte) string {
	var e struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	return strings.Join(e.Errors, "; ")
}

// after takes over how long the server wants to be left alone.
func after(resp *http.Response, f *fault.Error) error {
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 && n <= 3600 {
		f.After = time.Duration(n) * time.Second
	}
	return f
}

// clean makes a text of the other side fit for one line of a message.
func clean(text string) string {
	const most = 300
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd }), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
