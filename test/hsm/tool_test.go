package hsm

import (
	"cmp"
	"context"
	"fmt"
	"strings"
)

// tool runs pkcs11-tool, logged in to the module's token.
func (m *module) tool(ctx context.Context, args ...string) error {
	_, err := m.pkcs11Tool(ctx, append([]string{"--token-label", m.label, "--login", "--pin", "env:HSM_PIN"}, args...)...)
	return err
}

func (m *module) pkcs11Tool(ctx context.Context, args ...string) (string, error) {
	library := locate(cmp.Or(m.beside, m.library))
	return command(ctx, append(m.env, "HSM_PIN="+m.pin), "pkcs11-tool", append([]string{"--module", library}, args...)...)
}

// flags returns the flags of the module's token in the words of pkcs11-tool,
// which asks in a process of its own.
func (m *module) flags(ctx context.Context) (string, error) {
	out, err := m.pkcs11Tool(ctx, "--list-slots")
	if err != nil {
		return "", err
	}
	_, token, found := strings.Cut(out, "token label        : "+m.label+"\n")
	_, flags, flagged := strings.Cut(token, "token flags        : ")
	if !found || !flagged {
		return "", fmt.Errorf("pkcs11-tool lists no token %s: %s", m.label, out)
	}
	flags, _, _ = strings.Cut(flags, "\n")
	return flags, nil
}
