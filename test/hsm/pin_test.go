package hsm

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

// mistakes are the flags that a token shows after one wrong PIN, and after more.
var mistakes = []string{"user PIN count low", "final user PIN try", "user PIN locked"}

// wrongPIN presents the same wrong PIN twice; the token may hear of it once. A
// good login follows, and is told what happened before it.
func wrongPIN(t *testing.T, m *module) {
	opts := m.options()
	opts.PIN = m.wrong
	for range 2 {
		refuse(t, m, m.uri(m.favourite().name), opts, fault.Config, "pkcs11_pin_incorrect")
	}
	var want []string
	if m.counts {
		want = mistakes[:1]
	}
	m.remembers(t, want)

	var warned []string
	opts = m.options()
	opts.Warn = func(s string) { warned = append(warned, s) }
	key := open(t, m, m.uri(m.favourite().name), opts)
	if _, err := key.Sign(t.Context(), m.favourite().algs[0], []byte("message")); err != nil {
		t.Error(err)
	}
	if told := strings.Contains(strings.Join(warned, "\n"), "a wrong PIN was used since the last good login"); told != m.counts {
		t.Errorf("warned of the wrong PIN: %v, want %v; all warnings: %q", told, m.counts, warned)
	}
	m.remembers(t, nil)
}

// remembers checks which mistakes the token remembers.
func (m *module) remembers(t *testing.T, want []string) {
	t.Helper()
	flags, err := m.flags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, mistake := range mistakes {
		wanted := strings.Contains(strings.Join(want, ", "), mistake)
		if strings.Contains(flags, mistake) != wanted {
			t.Errorf("the token's flags are %q; %q among them: want %v", flags, mistake, wanted)
		}
	}
}

// hidesPIN checks that a text holds no PIN.
func hidesPIN(t *testing.T, m *module, text string) {
	t.Helper()
	for _, pin := range []string{m.pin, m.wrong} {
		if strings.Contains(text, pin) {
			t.Errorf("a PIN shows in %q", strings.ReplaceAll(text, pin, "<PIN>"))
		}
	}
}
