package gcpkms

import (
	"context"
	"crypto/tls"
	"errors"
	"net/url"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// explainContext reports that the caller's time was over, and err otherwise.
func explainContext(ctx context.Context, what call, err error) error {
	if ctx.Err() == nil {
		return err
	}
	code := "interrupted"
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = "timeout"
	}
	return fault.Undecidedf(code, "run the command again", "%s of the Cloud KMS key %s was cut short: %w", what.operation, what.resource, ctx.Err())
}

func unavailable(what call, said string) *fault.Error {
	return fault.Transientf("kms_unavailable", "run the command again", "Cloud KMS did not answer %s of %s%s", what.operation, what.resource, said)
}

func explainTransport(what call, err error) error {
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fault.Undecidedf("kms_tls", "check the endpoint override and the proxy", "the certificate of the Cloud KMS endpoint is not trusted: %s", clean(cert.Err.Error()))
	}
	return fault.Transientf("kms_unavailable", "check the network, the proxy and any endpoint override, and run the command again",
		"Cloud KMS did not answer %s of %s: %s (request %s)", what.operation, what.resource, network(err), what.id)
}

func explainBody(what call, err error) error {
	if errors.Is(err, errTooLong) {
		return unexpected(what, err.Error())
	}
	return fault.Transientf("kms_unavailable", "check the network and the proxy, and run the command again",
		"the answer of Cloud KMS to %s of %s broke off (request %s)", what.operation, what.resource, what.id)
}

func unexpected(what call, why string) error {
	return fault.Undecidedf("kms_unexpected", "check what answers in place of Cloud KMS", "the answer to %s of %s cannot be used: %s (request %s)", what.operation, what.resource, why, what.id)
}

// network says what went wrong on the way, without the URL.
func network(err error) string {
	if sent, ok := errors.AsType[*url.Error](err); ok {
		err = sent.Err
	}
	text := clean(err.Error())
	if strings.Contains(text, "invalid proxy") {
		return "the proxy variable is not a URL" // net/http repeats it, with its password
	}
	return text
}

// clean makes a text of the other side fit for one line of a message.
func clean(text string) string {
	const most = 400
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
