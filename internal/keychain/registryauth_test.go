package keychain_test

import (
	"testing"

	"github.com/signgate/signgate/internal/keychain"
)

func TestRegistryAuth(t *testing.T) {
	k, _ := fixture(t, keychain.Options{RegistryAuth: `
- username: hub
  password: 0123
- registry: https://GHCR.io/
  username: octocat
  password: "a:b#c"
- registry: ghcr.io
  scope: org/private
  username: scoped
  password: p
- registry: 111122223333.dkr.ecr.eu-west-1.amazonaws.com
  username: AWS
  password: token
- registry: 111122223333.dkr.ecr.eu-west-2.amazonaws.com
  ecr: false
  username: plain
  password: p
- registry: public.ecr.aws
  ecr: auto
`}, env{})
	const source = "registry-auth"
	want(t, k, "alpine", "hub:0123", source)
	want(t, k, "ghcr.io/o/r", "octocat:a:b#c", source)
	want(t, k, "ghcr.io/org/private", "scoped:p", source)
	want(t, k, "ghcr.io/org/private/deep", "scoped:p", source)
	want(t, k, "ghcr.io/org/privateer", "octocat:a:b#c", source)
	want(t, k, "111122223333.dkr.ecr.eu-west-1.amazonaws.com/r", "AWS:token", source)
	want(t, k, "111122223333.dkr.ecr.eu-west-2.amazonaws.com/r", "plain:p", source)
	want(t, k, "public.ecr.aws/r", "", "anonymous")
	want(t, k, "quay.io/r", "", "anonymous")
}

func TestRegistryAuthInvalid(t *testing.T) {
	for name, text := range map[string]string{
		"a scalar":      "hunter2",
		"a map":         "registry: ghcr.io\nusername: u\npassword: hunter2",
		"not yaml":      "- {registry: ghcr.io, password: 'hunter2",
		"a tab":         "-\tregistry: x\n\tpassword: hunter2",
		"unknown field": "- {registry: ghcr.io, username: u, passwd: hunter2}",
		"nested":        "- {registry: ghcr.io, username: u, password: {a: hunter2}}",
		"no password":   "- {registry: ghcr.io, username: hunter2}",
		"no username":   "- {registry: ghcr.io, password: hunter2}",
		"twice":         "- {registry: docker.io, username: u, password: hunter2}\n- {username: u, password: hunter2}",
		"scope":         "- {registry: ghcr.io, username: u, password: hunter2, scope: '@push'}",
		"empty":         "[]",
		"documents":     "- {username: u, password: hunter2}\n---\n- {username: u, password: hunter2}",
		"alias bomb":    "- &a [x,x]\n- &b [*a,*a,*a]\n- [*b,*b,*b]",
	} {
		_, err := try(t, keychain.Options{RegistryAuth: text}, env{}, &lines{})
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantCode(t, err, "registry_auth_invalid", "hunter2")
	}
}

func FuzzRegistryAuth(f *testing.F) {
	f.Add("- {registry: ghcr.io, username: u, password: p, ecr: true, scope: a/b}")
	f.Add("- registry: [")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := try(t, keychain.Options{RegistryAuth: text}, env{}, &lines{}); err != nil {
			wantCode(t, err, "registry_auth_invalid")
		}
	})
}
