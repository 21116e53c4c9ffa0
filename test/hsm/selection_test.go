package hsm

import (
	"regexp"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

// selection opens one key by everything that names it.
func selection(t *testing.T, m *module) {
	label, byID := m.favourite().name, "id=%"+id(m.favourite())
	key := open(t, m, m.uri(label), m.options())
	token := "pkcs11:token=" + m.label
	uris := []string{
		token + ";" + byID,
		token + ";" + byID + ";object=" + label + ";type=private",
		token + "%20%20;object=" + label,
		m.uri(label) + "?pin-value=" + m.pin, // the option wins; the URI shows in errors
		key.ID(),
		regexp.MustCompile(`;id=.*`).ReplaceAllString(key.ID(), ";object="+label),
	}
	for _, uri := range uris {
		if got := open(t, m, uri, m.options()).ID(); got != key.ID() {
			t.Errorf("%s opens %s, want %s", uri, got, key.ID())
		}
	}
	text := refuse(t, m, "pkcs11:token=nosuch;object="+label, m.options(), fault.Config, "pkcs11_token_not_found")
	if !strings.Contains(text, token) {
		t.Errorf("%q does not offer the token", text)
	}
}

var offered = regexp.MustCompile(`pkcs11:[^ ,]*[^ ,;]`)

// unknown asks for a key that there is not. What is offered instead can be
// copied.
func unknown(t *testing.T, m *module) {
	text := refuse(t, m, m.uri("nosuch")+"?pin-value="+m.pin, m.options(), fault.Config, "pkcs11_key_not_found")
	for _, k := range m.signing() {
		want := "object=" + k.name
		uris := offered.FindAllString(text, -1)
		i := indexContaining(uris, want)
		if i < 0 {
			t.Errorf("%q does not offer %s", text, want)
			continue
		}
		open(t, m, uris[i], m.options())
	}
}

func indexContaining(list []string, part string) int {
	for i, s := range list {
		if strings.Contains(s, part) {
			return i
		}
	}
	return -1
}
