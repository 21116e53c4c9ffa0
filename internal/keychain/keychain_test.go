package keychain_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/keychain"
)

var (
	_ authn.Keychain        = (*keychain.Keychain)(nil)
	_ authn.ContextKeychain = (*keychain.Keychain)(nil)
)

// offline fails the test when anything goes to the network.
type offline struct{ t *testing.T }

func (o offline) RoundTrip(r *http.Request) (*http.Response, error) {
	o.t.Errorf("request to %s", r.URL.Host)
	return nil, errors.New("offline")
}

// env is an environment.
type env map[string]string

func (e env) get(name string) string { return e[name] }

// lines collects debug lines.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, s)
}

func (l *lines) String() string { return strings.Join(l.all, "\n") }

// fixture is a Keychain under test and its debug lines.
func fixture(t *testing.T, o keychain.Options, e env) (*keychain.Keychain, *lines) {
	t.Helper()
	log := &lines{}
	k, err := try(t, o, e, log)
	if err != nil {
		t.Fatal(err)
	}
	return k, log
}

func try(t *testing.T, o keychain.Options, e env, log *lines) (*keychain.Keychain, error) {
	t.Helper()
	o.Getenv, o.Debug = e.get, log.add
	if o.Transport == nil {
		o.Transport = offline{t}
	}
	return keychain.New(o)
}

func repository(t *testing.T, s string) name.Repository {
	t.Helper()
	r, err := name.NewRepository(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// login returns "user:password" or another form of what k has for a repository.
func login(t *testing.T, k *keychain.Keychain, repo string) string {
	t.Helper()
	auth, err := k.Resolve(repository(t, repo))
	if err != nil {
		t.Fatalf("%s: %v", repo, err)
	}
	c, err := auth.Authorization()
	if err != nil {
		t.Fatalf("%s: %v", repo, err)
	}
	switch {
	case auth == authn.Anonymous:
		return ""
	case c.IdentityToken != "":
		return "identity:" + c.IdentityToken
	}
	return c.Username + ":" + c.Password
}

func want(t *testing.T, k *keychain.Keychain, repo, login_, source string) {
	t.Helper()
	if got := login(t, k, repo); got != login_ {
		t.Errorf("%s: %q, want %q", repo, got, login_)
	}
	if got := k.Source(repository(t, repo).Name()); got != source {
		t.Errorf("%s: source %q, want %q", repo, got, source)
	}
}

func wantCode(t *testing.T, err error, code string, hidden ...string) {
	t.Helper()
	if err == nil || fault.CodeOf(err) != code {
		t.Fatalf("error %v, want code %s", err, code)
	}
	text := err.Error()
	for _, secret := range hidden {
		if strings.Contains(text, secret) {
			t.Errorf("%q stands in %q", secret, text)
		}
	}
	if strings.Contains(text, "\n") {
		t.Errorf("not one line: %q", text)
	}
}

func basic(user, password string) string {
	return `{"auth":"` + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + `"}`
}

// home writes a config.json below a new HOME.
func home(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".docker", "config.json"), config)
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOrder(t *testing.T) {
	dir := home(t, `{"auths":{"ghcr.io":`+basic("file", "p")+`}}`)
	o := keychain.Options{
		Username: "input", Password: "p", Registries: []string{"ghcr.io"},
		RegistryAuth: "- {registry: ghcr.io, username: yaml, password: p}",
		DockerConfig: `{"auths":{"ghcr.io":` + basic("json", "p") + `}}`,
		GitHubToken:  "t", GitHubActor: "octocat",
	}
	e := env{"HOME": dir, "GITHUB_TOKEN": "envtoken"}
	steps := []struct {
		login, source string
		drop          func()
	}{
		{"input:p", "registry-username and registry-password", func() { o.Username, o.Password = "", "" }},
		{"yaml:p", "registry-auth", func() { o.RegistryAuth = "" }},
		{"json:p", "docker config the input docker-config", func() { o.DockerConfig = "" }},
		{"file:p", "docker config " + dir + "/.docker/config.json", func() { delete(e, "HOME") }},
		{"octocat:t", "github-token", func() { o.GitHubToken = "" }},
		{"octocat:envtoken", "GITHUB_TOKEN", func() { delete(e, "GITHUB_TOKEN") }},
		{"", "anonymous", func() {}},
	}
	for _, s := range steps {
		k, log := fixture(t, o, e)
		want(t, k, "ghcr.io/o/r", s.login, s.source)
		line := "registry ghcr.io: credentials from " + s.source
		if s.login == "" {
			line = "registry ghcr.io: no credentials, asking anonymously"
		}
		if log.String() != line {
			t.Errorf("debug %q", log)
		}
		s.drop()
	}
}

func TestOneLineAndOneAnswerForARegistry(t *testing.T) {
	k, log := fixture(t, keychain.Options{GitHubToken: "t"}, env{})
	var all sync.WaitGroup
	for range 20 {
		for _, repo := range []string{"ghcr.io/o/a", "ghcr.io/o/b", "example.com:5000/c"} {
			all.Go(func() { login(t, k, repo) })
		}
	}
	all.Wait()
	slices.Sort(log.all)
	if log.String() != "registry example.com:5000: no credentials, asking anonymously\nregistry ghcr.io: credentials from github-token" {
		t.Errorf("debug %q", log)
	}
	if k.Source("ghcr.io") != "github-token" || k.Source("GHCR.io/o/z") != "github-token" || k.Source("quay.io") != "" {
		t.Errorf("sources %q %q %q", k.Source("ghcr.io"), k.Source("GHCR.io/o/z"), k.Source("quay.io"))
	}
}

func TestGitHubTokenIsForGHCROnly(t *testing.T) {
	k, _ := fixture(t, keychain.Options{GitHubToken: "t"}, env{"GITHUB_TOKEN": "t"})
	for _, repo := range []string{"docker.io/o/r", "ghcr.io.example.com/o/r", "ghcr.io:8443/o/r", "xghcr.io/r"} {
		want(t, k, repo, "", "anonymous")
	}
}

func TestExplicitCredentials(t *testing.T) {
	k, _ := fixture(t, keychain.Options{Username: "u", Password: "p", Registries: []string{"docker.io", "index.docker.io"}}, env{})
	want(t, k, "library/alpine", "u:p", "registry-username and registry-password")
	want(t, k, "quay.io/o/r", "", "anonymous")
	for _, o := range []keychain.Options{
		{Username: "u", Password: "p4ssw0rd", Registries: []string{"ghcr.io", "evil.example"}},
		{Username: "u", Registries: []string{"ghcr.io"}},
		{Password: "p4ssw0rd", Registries: []string{"ghcr.io"}},
	} {
		_, err := try(t, o, env{}, &lines{})
		wantCode(t, err, "registry_auth_invalid", "p4ssw0rd")
	}
}

func TestSecrets(t *testing.T) {
	k, _ := fixture(t, keychain.Options{
		Username: "u", Password: "one", Registries: []string{"a.example"},
		RegistryAuth: "[{registry: b.example, username: v, password: two}, {registry: 111122223333.dkr.ecr.eu-west-1.amazonaws.com, username: AKIA, password: three}]",
		DockerConfig: `{"auths":{"c.example":` + basic("w", "four") + `,"d.example":{"identitytoken":"five"}}}`,
		GitHubToken:  "six",
	}, env{"GITHUB_TOKEN": "seven"})
	got := k.Secrets()
	for _, s := range []string{"one", "two", "three", "four", "five", "six", "seven",
		base64.StdEncoding.EncodeToString([]byte("u:one")), base64.StdEncoding.EncodeToString([]byte("w:four")),
		base64.StdEncoding.EncodeToString([]byte("github-actions:six"))} {
		if !slices.Contains(got, s) {
			t.Errorf("%s is not masked", s)
		}
	}
	if slices.Contains(got, "") || slices.Contains(got, "u") {
		t.Errorf("masks %q", got)
	}
}

func TestCanonical(t *testing.T) {
	for in, out := range map[string]string{
		"docker.io":                      "index.docker.io",
		"https://index.docker.io/v1/":    "index.docker.io",
		"registry-1.docker.io":           "index.docker.io",
		"docker.io/library/x":            "index.docker.io/library/x",
		"https://GHCR.io":                "ghcr.io",
		"http://localhost:5000/v2/":      "localhost:5000",
		" ghcr.io/Org/ ":                 "ghcr.io/Org",
		"https://registry.example/v1/x/": "registry.example/v1/x",
	} {
		if got := keychain.Canonical(in); got != out {
			t.Errorf("%q: %q, want %q", in, got, out)
		}
	}
}

func TestInterrupted(t *testing.T) {
	k, _ := fixture(t, keychain.Options{GitHubToken: "t"}, env{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := k.ResolveContext(ctx, repository(t, "ghcr.io/o/r"))
	wantCode(t, err, "interrupted")
	want(t, k, "ghcr.io/o/r", "github-actions:t", "github-token") // and nothing was kept
}
