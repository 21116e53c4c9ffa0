package softhsm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

func TestToken(t *testing.T) {
	dir := t.TempDir()
	var tokens []*Token
	for range 2 {
		token, err := NewToken(t.Context(), dir, "two words", "1234-pin")
		if err != nil {
			t.Fatalf("%v\nrun: %s", err, Install)
		}
		tokens = append(tokens, token)
	}
	if tokens[0].slot == tokens[1].slot || tokens[0].Conf != filepath.Join(dir, "softhsm2.conf") {
		t.Errorf("two tokens with one label are %+v", tokens)
	}
	for _, kind := range []string{"EC:prime256v1", "rsa:2048"} {
		if err := tokens[1].GenerateKey(t.Context(), kind, "01", "key"); err != nil {
			t.Error(err)
		}
	}
	if err := tokens[1].GenerateKey(t.Context(), "EC:nosuch", "01", "key"); fault.CodeOf(err) != "softhsm_failed" || strings.Contains(err.Error(), "1234-pin") {
		t.Errorf("GenerateKey of an unknown kind = %v", err)
	}
}

func TestUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewToken(t.Context(), file, "label", "1234"); fault.CodeOf(err) != "softhsm_failed" {
		t.Errorf("NewToken in a file = %v", err)
	}
}

func TestToolMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := NewToken(t.Context(), t.TempDir(), "label", "1234"); fault.CodeOf(err) != "softhsm_missing" || !strings.Contains(err.Error(), Install) {
		t.Errorf("NewToken without tools = %v", err)
	}
}
