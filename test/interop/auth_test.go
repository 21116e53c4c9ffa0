package interop

import (
	"slices"
	"strings"
	"testing"
)

// A registry that refuses the credentials leaves the question undecided, with
// every source of them, and the message names that source but no password.
func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	reg := startBearer(t)
	k := newP256(t)
	img := reg.push(t, "1.0")
	reg.sign(t, img, both, k)

	const wrong = "not the password"
	nobody := registry{host: reg.host, env: dockerConfig(t, "{}")}
	cases := []struct {
		name  string
		reg   registry
		flags []string
		verb  string
	}{
		{"verify with a wrong password", reg.as(t, "release", wrong), nil, "verify"},
		{"sign with a wrong password", reg.as(t, "release", wrong), nil, "sign"},
		{"sign without the right to push", reg.as(t, "deploy", accounts["deploy"].password), nil, "sign"},
		{"verify without credentials", nobody, nil, "verify"},
		{"verify with a wrong password given", nobody, []string{"--registry-username", "release", "--registry-password", wrong}, "verify"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := slices.Concat([]string{c.verb}, c.flags, img.references())
			if c.verb == "sign" {
				args = append(args, append([]string{"--resign"}, k.flags...)...)
			} else {
				args = append(args, "--trusted-keys", k.public)
			}
			rep := c.reg.signgate(t, undecided, args...)
			if !slices.Contains(rep.codes(), "registry_denied") {
				t.Errorf("the codes are %q, want registry_denied\n%s", rep.codes(), rep)
			}
			if strings.Contains(rep.stdout+rep.stderr, wrong) {
				t.Errorf("the password is shown\n%s", rep)
			}
		})
	}
}

// The right to pull is enough for a gate, and credentials given as inputs are
// as good as those of a login.
func TestRightCredentials(t *testing.T) {
	t.Parallel()
	reg := startBearer(t)
	k := newP256(t)
	img := reg.push(t, "1.0")
	reg.sign(t, img, both, k)
	nobody := registry{host: reg.host, env: dockerConfig(t, "{}")}
	login := []string{"--registry-username", "deploy", "--registry-password", accounts["deploy"].password}
	verify := []string{"verify", "--trusted-keys", k.public, img.tagged("1.0")}
	reg.as(t, "deploy", accounts["deploy"].password).signgate(t, passed, verify...)
	nobody.signgate(t, passed, append(verify, login...)...)
}
