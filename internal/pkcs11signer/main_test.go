//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/pkcs11signer/softhsm"
)

const (
	labPIN   = "pin-4711-lab"
	wrongPIN = "wrong-0815-pin"
)

// The tokens of this process. SoftHSM reads its configuration once, so they are
// made before the first test.
var lab, mute, burnt *softhsm.Token

func TestMain(m *testing.M) {
	if os.Getenv("SIGNGATE_TEST_SOCKET") != "" {
		os.Exit(m.Run()) // see TestSocketOfAnother
	}
	dir, err := os.MkdirTemp("", "signgate-softhsm-")
	if err == nil {
		err = prepare(dir)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "these tests need SoftHSM2: %v\nrun: %s\n", err, softhsm.Install)
		os.RemoveAll(dir)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func prepare(dir string) (err error) {
	os.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "softhsm2.conf"))
	ctx := context.Background()
	token := func(label string) *softhsm.Token {
		if err != nil {
			return nil
		}
		var t *softhsm.Token
		t, err = softhsm.NewToken(ctx, dir, label, labPIN)
		return t
	}
	lab, mute, burnt = token("lab"), token("mute"), token("burnt")
	twins := []*softhsm.Token{token("twin"), token("twin"), token("mistaken")}
	if err != nil {
		return err
	}
	for _, k := range [][3]string{
		{"EC:prime256v1", "01", "p256"}, {"EC:secp384r1", "02", "p384"}, {"EC:secp521r1", "03", "p521"},
		{"rsa:2048", "04", "rsa2048"}, {"rsa:3072", "05", "rsa3072"}, {"EC:edwards25519", "06", "ed25519"},
		{"EC:prime256v1", "08", "double"}, {"EC:prime256v1", "09", "double"},
		{"EC:prime256v1", "0a", "nopublic"}, {"EC:prime256v1", "0b", "certified"}, {"EC:prime256v1", "0c", "relabelled"},
		{"EC:prime256v1", "11", "same-a"}, {"EC:prime256v1", "11", "same-b"}, {"EC:prime256v1", "3031", "hex"}, {"EC:secp256k1", "0e", "bitcoin"}, {"rsa:1024", "0f", "short"},
	} {
		if err := lab.GenerateKey(ctx, k[0], k[1], k[2]); err != nil {
			return err
		}
	}
	for _, t := range append(twins, burnt) {
		if err := t.GenerateKey(ctx, "EC:prime256v1", "01", "key"); err != nil {
			return err
		}
	}
	for _, args := range []string{
		"--keypairgen --key-type EC:prime256v1 --id 07 --label always --always-auth",
		"--delete-object --type pubkey --id 0a",
		"--set-id 0d --type pubkey --id 0c",
		"--delete-object --type pubkey --id 04",
	} {
		if err := lab.PKCS11Tool(ctx, strings.Fields(args)...); err != nil {
			return err
		}
	}
	return nil
}

// open opens a key of the lab token and closes it with the test.
func open(t *testing.T, uri string) *Key {
	t.Helper()
	return openWith(t, uri, Options{Module: lab.Module, PIN: labPIN})
}

func openWith(t *testing.T, uri string, opts Options) *Key {
	t.Helper()
	k, err := Open(t.Context(), uri, opts)
	if err != nil {
		t.Fatalf("Open(%s): %v", uri, err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

// refuse checks that Open fails with the outcome and the code, says all of
// texts and shows no PIN, and returns what it said.
func refuse(t *testing.T, uri string, opts Options, outcome fault.Outcome, code string, texts ...string) string {
	t.Helper()
	k, err := Open(t.Context(), uri, opts)
	if err == nil {
		k.Close()
	}
	return check(t, err, outcome, code, texts...)
}

func check(t *testing.T, err error, outcome fault.Outcome, code string, texts ...string) string {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", code)
	}
	if fault.OutcomeOf(err) != outcome || fault.CodeOf(err) != code {
		t.Errorf("got %v %s (%v), want %v %s", fault.OutcomeOf(err), fault.CodeOf(err), err, outcome, code)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q lacks %q", err, text)
		}
	}
	for _, pin := range []string{labPIN, wrongPIN} {
		if strings.Contains(err.Error(), pin) || strings.Contains(fmt.Sprintf("%#v", err), pin) {
			t.Errorf("the error shows a PIN")
		}
	}
	return err.Error()
}
