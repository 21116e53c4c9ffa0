//go:build !linux || !cgo

package pkcs11signer

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

func TestOpenWithoutCgo(t *testing.T) {
	_, err := Open(t.Context(), "pkcs11:token=a", Options{})
	if fault.CodeOf(err) != "pkcs11_unavailable" || fault.OutcomeOf(err) != fault.Config || !strings.Contains(err.Error(), "signgate_linux_amd64_pkcs11") {
		t.Errorf("Open = %v, want a configuration fault pkcs11_unavailable that names the right binary", err)
	}
}
