package gcpkms_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/kmsigner/gcpkms"
	"github.com/signgate/signgate/internal/kmsigner/gcptest"
	"github.com/signgate/signgate/internal/signer"
)

// TestExamine: what signgate doctor says in each case, line by line.
func TestExamine(t *testing.T) {
	const ok = "endpoint warn, credentials ok, key version ok, state ok, algorithm ok, protection level ok, permission to sign ok"
	for about, c := range map[string]struct {
		algorithm gcptest.Algorithm
		change    func(s *setup, name string)
		suffix    string // in the place of the version
		want      string
		says      string
	}{
		"fine":            {gcptest.P256, nil, "", ok, "release@acme-prod"},
		"ML-DSA":          {gcptest.MLDSA65ExternalMu, nil, "", ok, "ML-DSA-65"},
		"no version":      {gcptest.P256, nil, "-", strings.Replace(ok, "version ok", "version warn", 1), "write gcpkms://projects/"},
		"bad URI":         {gcptest.P256, nil, "/x", "key fail", "not understood"},
		"no credentials":  {gcptest.P256, func(s *setup, _ string) { delete(s.env, credentials) }, "", "credentials fail", "id-token: write"},
		"bad endpoint":    {gcptest.P256, func(s *setup, _ string) { s.env["CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"] = "http://h" }, "", "endpoint fail", "HTTPS"},
		"no token":        {gcptest.P256, func(s *setup, _ string) { s.Inject("token", gcptest.Fail("PERMISSION_DENIED", "")) }, "", "endpoint warn, credentials fail", "attribute condition"},
		"expired":         {gcptest.P256, func(s *setup, _ string) { s.ExpireToken() }, "", "endpoint warn, credentials ok, key version ok, credentials fail", "does not accept"},
		"may not list":    {gcptest.P256, func(s *setup, n string) { s.Inject("cryptoKeyVersions.list", gcptest.Deny("x", n)) }, "-", "endpoint warn, credentials ok, key version fail", "/cryptoKeyVersions/1"},
		"may not read":    {gcptest.P256, func(s *setup, n string) { s.Inject("getPublicKey", gcptest.Deny("x", n)) }, "", "endpoint warn, credentials ok, key version ok, public key fail", "roles/cloudkms.publicKeyViewer"},
		"may not sign":    {gcptest.P256, func(s *setup, n string) { s.Inject("asymmetricSign", gcptest.Deny("x", n)) }, "", strings.Replace(ok, "sign ok", "sign fail", 1), "roles/cloudkms.signer"},
		"disabled":        {gcptest.P256, func(s *setup, n string) { s.SetState(n, gcptest.Disabled) }, "", "endpoint warn, credentials ok, key version ok, state fail", "enable it"},
		"none enabled":    {gcptest.P256, func(s *setup, n string) { s.SetState(n, gcptest.Disabled) }, "-", "endpoint warn, credentials ok, state fail", "no enabled version"},
		"PSS":             {gcptest.RSAPSS2048, nil, "", "endpoint warn, credentials ok, key version ok, algorithm fail", "PSS"},
		"external":        {gcptest.P256, func(s *setup, n string) { s.SetProtection(n, "EXTERNAL") }, "", strings.Replace(ok, "level ok", "level warn", 1), "external key manager"},
		"wrong signature": {gcptest.P256, func(s *setup, n string) { s.Inject("asymmetricSign", gcptest.CorruptSignature(true)) }, "", strings.Replace(ok, "sign ok", "sign fail", 1), "does not verify"},
	} {
		t.Run(about, func(t *testing.T) {
			s := start(t)
			s.env[credentials] = write(t, s.Credentials(gcptest.Impersonated))
			name := s.create(t, c.algorithm)
			if c.change != nil {
				c.change(s, name)
			}
			if c.suffix != "" {
				name = strings.TrimSuffix(name, "/cryptoKeyVersions/1") + strings.Trim(c.suffix, "-")
			}
			checks := gcpkms.Examine(t.Context(), "gcpkms://"+name, s.Options)
			lines, all := short(checks), fmt.Sprintf("%+v", checks)
			if lines != c.want || !strings.Contains(all, c.says) {
				t.Errorf("%s\nwant %s and %q in\n%s", lines, c.want, c.says, all)
			}
			noSecret(t, all)
			for _, check := range checks {
				if check.Fact == "" || check.Status != signer.OK && check.Next == "" {
					t.Errorf("%+v says too little", check)
				}
			}
		})
	}
}

func short(checks []signer.Check) string {
	var lines []string
	for _, c := range checks {
		lines = append(lines, c.Name+" "+string(c.Status))
	}
	return strings.Join(lines, ", ")
}
