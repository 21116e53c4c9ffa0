//go:build linux && cgo

package pkcs11signer

import (
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/signgate/signgate/internal/fault"
	fm "github.com/signgate/signgate/internal/pkcs11signer/faultmodule"
	"github.com/signgate/signgate/internal/signer"
)

const (
	yes = "\x01"
	no  = "\x00"
)

// keeper makes a module that says how its private keys are kept; what is not
// said is unknown to it.
func keeper(t *testing.T, sensitive, extractable string) *fm.Module {
	m := faultModule(t)
	m.Withhold(private, pkcs11.CKA_NEVER_EXTRACTABLE, pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)
	m.Withhold(private, pkcs11.CKA_LOCAL, pkcs11.CKR_ATTRIBUTE_SENSITIVE)
	for kind, value := range map[uint]string{pkcs11.CKA_SENSITIVE: sensitive, pkcs11.CKA_EXTRACTABLE: extractable} {
		if value == "-" {
			m.Withhold(private, kind, pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)
		} else {
			m.Replace(private, kind, value)
		}
	}
	return m
}

// The answers of a module, what they mean, and what the policies make of them.
func TestKeyPolicy(t *testing.T) {
	for _, c := range []struct {
		sensitive, extractable string
		want                   signer.Custody
		required               string // the code under Require
		warning                string // under Warn
	}{
		{yes, no, signer.Custody{Sensitive: signer.Yes, Extractable: signer.No}, "", ""},
		{yes, yes, signer.Custody{Sensitive: signer.Yes, Extractable: signer.Yes}, "pkcs11_key_extractable", "CKA_EXTRACTABLE is true"},
		{no, no, signer.Custody{Sensitive: signer.No, Extractable: signer.No}, "pkcs11_key_extractable", "CKA_SENSITIVE is false"},
		{no, yes, signer.Custody{Sensitive: signer.No, Extractable: signer.Yes}, "pkcs11_key_extractable", "CKA_EXTRACTABLE is true"},
		{"-", yes, signer.Custody{Sensitive: signer.Unknown, Extractable: signer.Yes}, "pkcs11_key_extractable", "CKA_EXTRACTABLE is true"},
		{yes, "-", signer.Custody{Sensitive: signer.Yes, Extractable: signer.Unknown}, "pkcs11_key_unproven", ""},
		{"-", no, signer.Custody{Sensitive: signer.Unknown, Extractable: signer.No}, "pkcs11_key_unproven", ""},
		{"-", "-", signer.Custody{Sensitive: signer.Unknown, Extractable: signer.Unknown}, "pkcs11_key_unproven", ""},
		{yes, "", signer.Custody{Sensitive: signer.Yes, Extractable: signer.Unknown}, "pkcs11_key_unproven", ""},
		{yes, "\x00\x00\x00\x00", signer.Custody{Sensitive: signer.Yes, Extractable: signer.Unknown}, "pkcs11_key_unproven", ""},
		{"\x2a", no, signer.Custody{Sensitive: signer.Unknown, Extractable: signer.No}, "pkcs11_key_unproven", ""}, // CK_TRUE is 1
		{yes, "\xff", signer.Custody{Sensitive: signer.Yes, Extractable: signer.Unknown}, "pkcs11_key_unproven", ""},
	} {
		m := keeper(t, c.sensitive, c.extractable)
		c.want.NeverExtractable, c.want.Local, c.want.AlwaysAuthenticate = signer.Unknown, signer.Unknown, signer.No
		opts := with(m)
		var warnings []string
		opts.Warn = func(s string) { warnings = append(warnings, s) }
		for _, opts.KeyPolicy = range []KeyPolicy{"", Warn} {
			warnings = nil
			k := openWith(t, anyKey, opts)
			works(t, k)
			if got := k.Custody(); got != c.want {
				t.Errorf("sensitive %q, extractable %q: custody %+v, want %+v", c.sensitive, c.extractable, got, c.want)
			}
			if len(warnings) > 1 || !strings.Contains(strings.Join(warnings, ""), c.warning) || (len(warnings) == 0) != (c.warning == "") {
				t.Errorf("sensitive %q, extractable %q: warnings %q, want %q", c.sensitive, c.extractable, warnings, c.warning)
			}
		}
		opts.KeyPolicy = Require
		required(t, opts, c.required)
	}
}

func required(t *testing.T, opts Options, code string) {
	t.Helper()
	switch code {
	case "":
		works(t, openWith(t, anyKey, opts))
	case "pkcs11_key_extractable":
		refuse(t, anyKey, opts, fault.Refused, code)
	default:
		refuse(t, anyKey, opts, fault.Undecided, code)
	}
}

// A device that fails is no answer about the key.
func TestKeyPolicyWithoutAnswer(t *testing.T) {
	m := faultModule(t)
	m.Withhold(private, pkcs11.CKA_EXTRACTABLE, pkcs11.CKR_DEVICE_ERROR)
	for _, policy := range []KeyPolicy{Warn, Require} {
		opts := with(m)
		opts.KeyPolicy = policy
		_, err := Open(t.Context(), anyKey, opts)
		transient(t, err, "C_GetAttributeValue returned CKR_DEVICE_ERROR")
	}
	opts := with(m)
	opts.KeyPolicy = Off
	k := openWith(t, anyKey, opts)
	works(t, k)
	if k.Custody() != (signer.Custody{}) {
		t.Errorf("nobody asked for the custody %+v", k.Custody())
	}
}
