package azurekms

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/fault"
)

// cutShort returns the fault of a call whose context ended, and nil for others.
func cutShort(ctx context.Context, what string) *fault.Error {
	if ctx.Err() == nil {
		return nil
	}
	code := "interrupted"
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = "timeout"
	}
	return fault.Undecidedf(code, "run the command again", "%s was cut short: %w", what, ctx.Err())
}

// explainTransport reports that no answer came, or half of one, or none that a
// vault would give.
func (v *vault) explainTransport(operation, key string, err error) error {
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fault.Undecidedf("kms_tls", "check the proxy and the certificates of this machine", "the certificate of %s is not trusted: %s", v.ref.host, clean(cert.Err.Error()))
	}
	if _, sent := errors.AsType[*url.Error](err); !sent && aboutChallenge(err) {
		return fault.Undecidedf("kms_unexpected", "check what answers in place of the vault",
			"%s asked for a token in a way that a vault would not, so none was sent", v.ref.host)
	}
	next := "check the network and run the command again"
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		next = "check the name of the vault, and the private DNS zone if it has only a private endpoint"
	}
	return fault.Transientf("kms_unavailable", next, "%s did not answer %s with the key %s: %s", v.ref.host, operation, key, network(err))
}

// aboutChallenge tells the SDK's refusals of a challenge, which have no type,
// by their texts.
func aboutChallenge(err error) bool {
	return errors.Is(err, errChallenge) || strings.Contains(err.Error(), "challenge resource") || strings.Contains(err.Error(), "WWW-Authenticate")
}

// network says what went wrong on the way, without a URL or a body.
func network(err error) string {
	sent, ok := errors.AsType[*url.Error](err)
	if !ok {
		return "the answer could not be read"
	}
	text := clean(sent.Err.Error())
	if strings.Contains(text, "invalid proxy") {
		return "the proxy variable is not a URL" // net/http repeats it, with its password
	}
	return text
}

// retryAfter returns what the other side asks for: a number of seconds or a
// date (RFC 9110 section 10.2.3).
func retryAfter(resp *http.Response) time.Duration {
	value := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 3600)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// requestID returns the name of a call in the logs of the vault: correlationId
// there is the x-ms-client-request-id of the request (Azure Key Vault logging).
func requestID(resp *http.Response) string {
	if resp == nil || resp.Request == nil {
		return ""
	}
	return clean(resp.Request.Header.Get("x-ms-client-request-id"))
}

// clean makes a text of the other side fit for one line of a message.
func clean(text string) string {
	const most = 600
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
