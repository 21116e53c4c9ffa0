package keychain

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/signgate/signgate/internal/fault"
)

// table holds credentials under canonical registry or repository names.
type table struct {
	source  string
	entries map[string]authn.AuthConfig
	aws     map[string]source // entries whose password buys an ECR token
}

func (t table) find(ctx context.Context, want target) (credential, bool, error) {
	for _, key := range want.candidates() {
		if exchange, ok := t.aws[key]; ok {
			return exchange(ctx, want)
		}
		if auth, ok := t.entries[key]; ok {
			return credential{authn.FromConfig(auth), t.source}, true, nil
		}
	}
	return credential{}, false, nil
}

// explicitSource is the pair registry-username and registry-password.
func explicitSource(o Options) (table, error) {
	t := table{source: "registry-username and registry-password"}
	if o.Username == "" && o.Password == "" {
		return t, nil
	}
	if o.Username == "" || o.Password == "" {
		return t, fault.Configf("registry_auth_invalid", "give both or none of registry-username and registry-password",
			"one of registry-username and registry-password is empty")
	}
	var hosts []string
	for _, r := range o.Registries {
		hosts = append(hosts, hostOf(canonical(r)))
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	if len(hosts) > 1 {
		return t, fault.Configf("registry_auth_invalid", "use registry-auth to say which password belongs to which registry",
			"registry-password is one password for the %d registries %s", len(hosts), strings.Join(hosts, ", "))
	}
	t.entries = map[string]authn.AuthConfig{}
	for _, host := range hosts {
		t.entries[host] = authn.AuthConfig{Username: o.Username, Password: o.Password}
	}
	return t, nil
}

// githubSource gives the workflow's token to ghcr.io and to nobody else.
func githubSource(o Options) source {
	return func(_ context.Context, t target) (credential, bool, error) {
		if t.host != "ghcr.io" {
			return credential{}, false, nil
		}
		token, name := o.GitHubToken, "github-token"
		if token == "" {
			token, name = o.Getenv("GITHUB_TOKEN"), "GITHUB_TOKEN"
		}
		if token == "" {
			return credential{}, false, nil
		}
		return credential{&authn.Basic{Username: o.actor(), Password: token}, name}, true, nil
	}
}

func (o Options) actor() string {
	return firstOf(o.GitHubActor, o.Getenv("GITHUB_ACTOR"), "github-actions")
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// secrets collects what must be masked, each once.
func secrets(o Options, explicit, given table, config *dockerConfig) []string {
	out := []string{o.Password}
	for _, token := range []string{o.GitHubToken, o.Getenv("GITHUB_TOKEN")} {
		if token != "" {
			out = append(out, forms(authn.AuthConfig{Username: o.actor(), Password: token})...)
		}
	}
	for _, t := range []table{explicit, given} {
		for _, auth := range t.entries {
			out = append(out, forms(auth)...)
		}
	}
	out = append(out, config.secrets()...)
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// forms are the shapes in which a credential could turn up in a log.
func forms(a authn.AuthConfig) []string {
	out := []string{a.Password, a.IdentityToken, a.RegistryToken, a.Auth}
	if a.Username != "" || a.Password != "" {
		out = append(out, base64.StdEncoding.EncodeToString([]byte(a.Username+":"+a.Password)))
	}
	return out
}
