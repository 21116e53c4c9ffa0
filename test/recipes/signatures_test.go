package recipes

import (
	"strings"
	"testing"
)

func TestMinimal(t *testing.T) {
	r := open(t, "minimal", "ghcr.io/acme")
	r.key("stranger")
	digest := r.PushIndex(t, "app:1.4", "linux/amd64", "linux/arm64")
	r.refuses("unsigned", "app:1.4")
	r.sign("app:1.4", digest, "stranger")
	r.refuses("key_other", "app:1.4")
	r.sign("app:1.4", digest, "--recursive=false", "ci-2026")
	r.refuses("key_other", "app:1.4") // the platforms
	r.sign("app:1.4", digest, "ci-2026")
	r.passes("app:1.4")
	r.passes("app@" + digest)
	r.refuses("rule_missing", "quay.io/acme/app:1.4")
}

func TestKMSAndHSM(t *testing.T) {
	r := open(t, "kms-and-hsm", "registry.acme.io")
	digest := r.PushIndex(t, "prod/app:1.4", "linux/amd64")
	r.sign("prod/app:1.4", digest, "kms-26", "--sequence=41")
	r.refuses("key_other", "prod/app:1.4", "--minimum-sequence=1")
	r.sign("prod/app:1.4", digest, "hsm-2", "--sequence=41")
	r.passes("prod/app:1.4", "--minimum-sequence=41")
	r.refuses("rollback", "prod/app:1.4", "--minimum-sequence=42")
	r.refuses("claim_missing", "prod/app@"+digest, "--minimum-sequence=41")
	r.write("state.json", []byte("{}"))
	r.passes("prod/app:1.4", "--rollback-state="+r.dir+"/state.json")

	digest = r.Push(t, "prod/app:1.5")
	r.sign("prod/app:1.5", digest, "kms-25", "hsm-1")
	r.refuses("key_revoked", "prod/app:1.5", "--minimum-sequence=41")

	digest = r.Push(t, "prod/app:1.6")
	r.sign("prod/app:1.6", digest, "kms-26", "hsm-1")
	r.refuses("claims_contradict", "prod/app:1.7", "--digest="+digest, "--minimum-sequence=41")

	digest = r.PushIndex(t, "prod/app:1.8", "linux/amd64")
	r.sign("prod/app:1.8", digest, "kms-26", "hsm-1", "--recursive=false")
	r.refuses("unsigned", "prod/app:1.8", "--minimum-sequence=41")
}

func TestMirrorOnlyWarns(t *testing.T) {
	r := open(t, "kms-and-hsm", "registry.acme.io")
	r.Push(t, "mirror/app:1.4")
	code, output := r.verify("mirror/app:1.4", []string{"--minimum-sequence=1"})
	if code != 0 || !strings.Contains(output, "PASSED, because the rule only warns") || !strings.Contains(output, "refused unsigned") {
		t.Errorf("%d\n%s", code, output)
	}

	// signed where it comes from, under its own name there
	r.edit("ghcr.io/vendor", r.Host+"/vendor")
	digest := r.Push(t, "vendor/app:1.4")
	r.sign("vendor/app:1.4", digest, "hsm-1")
	r.copy("vendor/app", "mirror/app", digest, "1.4")
	r.passes("mirror/app:1.4", "--minimum-sequence=1")
}
