package keychain

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// find asks the credential program that the config names for the registry,
// then the config's own entries. A program that is missing or fails is passed
// over and remembered.
func (d *dockerConfig) find(ctx context.Context, t target) (credential, bool, error) {
	c, err := d.load()
	if err != nil {
		return credential{}, false, err
	}
	if program := c.program(t.host); program != "" {
		got, ok, err := d.helpers.do(ctx, t.host, func() (credential, bool, error) {
			return d.askProgram(ctx, c, program, t.host)
		})
		if ok || err != nil {
			return got, ok, err
		}
	}
	return c.entry(t)
}

// program returns the credential program for a host, "" if there is none.
func (c *configFile) program(host string) string {
	for _, key := range sortedKeys(c.CredHelpers) {
		if canonical(key) == host && c.CredHelpers[key] != "" {
			return c.CredHelpers[key]
		}
	}
	return c.CredsStore
}

// entry looks a target up in auths.
func (c *configFile) entry(t target) (credential, bool, error) {
	keys := sortedKeys(c.Auths)
	for _, want := range t.candidates() {
		for _, key := range keys {
			if canonical(key) != want {
				continue
			}
			auth, err := decodeAuth(c.Auths[key])
			if err != nil {
				return credential{}, false, configInvalid(c.name, fmt.Errorf("its entry for %s: %w", key, err))
			}
			if auth != (authn.AuthConfig{}) {
				return credential{authn.FromConfig(auth), "docker config " + c.name}, true, nil
			}
		}
	}
	return credential{}, false, nil
}

// decodeAuth returns the zero AuthConfig for an entry that docker left empty,
// as it does when a program holds the password.
func decodeAuth(raw json.RawMessage) (authn.AuthConfig, error) {
	var auth authn.AuthConfig
	if err := json.Unmarshal(raw, &auth); err != nil {
		return auth, err
	}
	auth.Auth = ""
	auth.Password = strings.TrimRight(auth.Password, "\x00") // docker/cli does so
	return auth, nil
}

// sortedKeys makes the choice between two spellings of one registry stable.
// Reversed, the key with a scheme, which docker itself writes, comes first.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	slices.Reverse(keys)
	return keys
}

// secrets returns those of the input docker-config. A config of the
// environment was written by a login step, which masked its own.
func (d *dockerConfig) secrets() []string {
	if d.given == nil {
		return nil
	}
	var out []string
	for _, raw := range d.given.Auths {
		if auth, err := decodeAuth(raw); err == nil {
			out = append(out, forms(auth)...)
		}
	}
	return out
}
