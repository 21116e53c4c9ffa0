//go:build linux && cgo

package pkcs11signer

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	fm "github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
	"github.com/signgate/signgate/internal/signer"
)

const newKey = "pkcs11:token=mute;object=new;id=%AA"

// spare checks that the token mute, on which keys are made, has none.
func spare(t *testing.T) {
	t.Helper()
	entries, err := List(t.Context(), "pkcs11:token=mute", Options{Module: mute.Module, PIN: labPIN})
	if err != nil || len(entries) != 0 {
		t.Errorf("%+v was left on the token (%v)", entries, err)
	}
}

// A pair that is not what was asked for, or that cannot sign, is gone again.
func TestGenerateLeavesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		fault   func(*fm.Module)
		outcome fault.Outcome
		code    string
		says    string
	}{
		"write-protected": {func(m *fm.Module) { m.RefuseReadWrite.Store(pkcs11.CKR_TOKEN_WRITE_PROTECTED) }, fault.Config, "pkcs11_key_not_made", "write-protected"},
		"extractable":     {func(m *fm.Module) { m.Replace(private, pkcs11.CKA_EXTRACTABLE, yes) }, fault.Refused, "pkcs11_key_not_made", "it can leave the token"},
		"not sensitive":   {func(m *fm.Module) { m.Replace(private, pkcs11.CKA_SENSITIVE, no) }, fault.Refused, "pkcs11_key_not_made", "it can leave the token"},
		"other label":     {func(m *fm.Module) { m.Replace(private, pkcs11.CKA_LABEL, "other") }, fault.Refused, "pkcs11_key_not_made", "object=other"},
		"other id":        {func(m *fm.Module) { m.Replace(private, pkcs11.CKA_ID, "") }, fault.Refused, "pkcs11_key_not_made", "object=new"},
		"no public half":  {func(m *fm.Module) { m.Hide(public) }, fault.Config, "pkcs11_public_missing", "new"},
		"bad signature":   {func(m *fm.Module) { m.Corrupt.Store(1) }, fault.Refused, "bad_signature", "does not verify"},
		"short signature": {func(m *fm.Module) { m.Shorten.Store(1) }, fault.Undecided, "pkcs11_device", "63 bytes"},
		"no signature":    {func(m *fm.Module) { m.Calls[fm.Sign].Fail(pkcs11.CKR_FUNCTION_FAILED, 1) }, fault.Undecided, "pkcs11_device", "C_Sign returned CKR_FUNCTION_FAILED"},
		"no mechanism":    {func(m *fm.Module) { m.Calls[fm.GenerateKeyPair].Fail(pkcs11.CKR_MECHANISM_INVALID, 1) }, fault.Config, "pkcs11_key_not_made", "CKR_MECHANISM_INVALID"},
		"not permitted":   {func(m *fm.Module) { m.Calls[fm.GenerateKeyPair].Fail(pkcs11.CKR_TEMPLATE_INCONSISTENT, 1) }, fault.Config, "pkcs11_key_not_made", "CKR_TEMPLATE_INCONSISTENT"},
		"device error":    {func(m *fm.Module) { m.Calls[fm.GenerateKeyPair].Fail(pkcs11.CKR_DEVICE_ERROR, 1) }, fault.Undecided, "pkcs11_device", "C_GenerateKeyPair returned CKR_DEVICE_ERROR"},
		"not read back":   {func(m *fm.Module) { m.Calls[fm.GetAttributeValue].Fail(pkcs11.CKR_DEVICE_ERROR, 1) }, fault.Undecided, "pkcs11_device", "C_GetAttributeValue"},
	} {
		t.Run(name, func(t *testing.T) {
			m := faultModule(t)
			c.fault(m)
			_, err := Generate(t.Context(), newKey, "p256", with(m))
			check(t, err, c.outcome, c.code, c.says)
			spare(t)
			if m.Calls[fm.Logout].Count.Load() != 0 || m.UserLogins.Load() > 1 {
				t.Errorf("%d logins", m.UserLogins.Load())
			}
		})
	}
}

// The device lets the pair be made but not removed: whoever asked has to know.
func TestGenerateLeavesPair(t *testing.T) {
	m := faultModule(t)
	m.Corrupt.Store(1)
	m.Calls[fm.DestroyObject].Fail(pkcs11.CKR_FUNCTION_FAILED, 1)
	_, err := Generate(t.Context(), newKey, "p256", with(m))
	check(t, err, fault.Undecided, "pkcs11_key_not_made", "id=%AA;object=new", "could not be removed again (C_DestroyObject returned CKR_FUNCTION_FAILED)")
	if err := mute.PKCS11Tool(t.Context(), "--delete-object", "--type", "privkey", "--id", "aa"); err != nil {
		t.Error(err)
	}
	spare(t)
}

// What is made after the time is over is removed, too.
func TestGenerateBlocks(t *testing.T) {
	m := faultModule(t)
	for _, call := range []fm.Function{fm.GenerateKeyPair, fm.Sign} {
		held(t, m, call, "making the key pkcs11:token=mute", func(ctx context.Context) error {
			_, err := Generate(ctx, newKey, "p256", with(m))
			check(t, err, fault.Undecided, "pkcs11_key_not_made", "so it may be on its token", "signgate key list")
			return errors.Unwrap(err)
		})
		settled(t, m)
		spare(t)
	}
}

// last returns the line that an examination ends with, after it has checked
// that it fails and that no line before does.
func last(t *testing.T, checks []signer.Check, code string, names ...string) signer.Check {
	t.Helper()
	var got []string
	for i, c := range checks {
		got = append(got, c.Name)
		if (c.Status == signer.Fail) != (i == len(checks)-1) {
			t.Errorf("line %d of %d is %+v", i+1, len(checks), c)
		}
		if strings.Contains(c.Fact+c.Next, labPIN) || strings.Contains(c.Fact+c.Next, wrongPIN) {
			t.Error("a line shows the PIN")
		}
	}
	if !strings.HasSuffix(strings.Join(got, " "), strings.Join(names, " ")) {
		t.Errorf("the lines are %q, want %q at the end", got, names)
	}
	c := checks[len(checks)-1]
	if c.Code != code {
		t.Errorf("it ends with %+v, want %s", c, code)
	}
	return c
}

// doctor tells about a PIN by the flags, and presents one once.
func TestExaminePIN(t *testing.T) {
	m := counting(t)
	m.Mistakes.Store(2)
	last(t, Examine(t.Context(), anyKey, with(m)), "pkcs11_pin_locked", "session", "login")
	m.Mistakes.Store(3)
	checks := Examine(t.Context(), anyKey, with(m))
	last(t, checks, "pkcs11_pin_locked", "session", "login")
	if !strings.Contains(checks[3].Fact, "its PIN is locked") {
		t.Errorf("the token is %+v", checks[3])
	}
	presented(t, m, 0, 3)

	m.Mistakes.Store(0)
	wrong := Options{Module: m.Path, PIN: wrongPIN}
	for range 3 {
		last(t, Examine(t.Context(), anyKey, wrong), "pkcs11_pin_incorrect", "login")
	}
	presented(t, m, 1, 1)
	Examine(t.Context(), "", wrong) // asks all tokens, so it logs in to none
	if _, err := List(t.Context(), "pkcs11:", wrong); err != nil {
		t.Error(err)
	}
	presented(t, m, 1, 1)
}

// When the time is over, doctor still shows how far it came.
func TestExamineBlocks(t *testing.T) {
	for call, lines := range map[fm.Function][]string{
		fm.GetSlotList:       {"module", "library", "slots"},
		fm.OpenSession:       {"token", "session"},
		fm.FindObjects:       {"session", "login", "key"},
		fm.GetMechanismInfo:  {"attributes", "mechanism"},
		fm.GetAttributeValue: {"login", "key"},
	} {
		m := faultModule(t)
		held(t, m, call, "the examination", func(ctx context.Context) error {
			checks := Examine(ctx, anyKey, with(m))
			c := last(t, checks, "pkcs11_timeout", lines...)
			return fault.Undecidedf(c.Code, c.Next, "%s", c.Fact)
		})
	}
}

func TestListBlocks(t *testing.T) {
	m := faultModule(t)
	openWith(t, anyKey, with(m)).Close()
	held(t, m, fm.FindObjectsInit, "listing the keys of pkcs11:token=lab", func(ctx context.Context) error {
		_, err := List(ctx, "pkcs11:token=lab", with(m))
		return err
	})
	settled(t, m)
	entries, err := List(t.Context(), "pkcs11:token=lab", with(m))
	if err != nil || len(entries) < 10 {
		t.Errorf("%d keys, %v", len(entries), err)
	}
	if m.Open.Load() != 0 {
		t.Errorf("%d sessions were left open", m.Open.Load())
	}
}
