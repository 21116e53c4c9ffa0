// Package keychain finds the credentials for a registry and remembers which
// source they came from, because "401 with credentials from github-token" can
// be acted on and "401" cannot.
//
// The sources, in their order; the first that has something wins:
//
//  1. the inputs registry-username and registry-password
//  2. the input registry-auth (the YAML list of docker/login-action v4)
//  3. the input docker-config; without it the first that exists of
//     DOCKER_CONFIG, REGISTRY_AUTH_FILE, ~/.docker/config.json and podman's
//     containers/auth.json
//  4. for ghcr.io: github-token, else GITHUB_TOKEN
//  5. for ECR, Google and Azure hosts: a token, when the environment holds
//     credentials of that cloud
//  6. none: the registry is asked anonymously
//
// No source makes a network call for a registry that is not its own, none asks
// a metadata server, and nothing is written to disk. Every source is asked at
// most once for a registry in the life of a Keychain; a lasting failure is
// remembered like a success. A Keychain may be used concurrently.
//
// Secrets never stand in an error, a debug line or the name of a source.
package keychain

import (
	"context"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// Keychain implements authn.Keychain and authn.ContextKeychain.
type Keychain struct {
	sources []source
	debug   func(string)
	skipped *skips
	secrets []string
	answers answers

	mu       sync.Mutex
	winners  map[string]string // registry or repository → source
	reported map[string]bool   // registry and source that have their debug line
}

// source looks for credentials for one target. False without an error means
// that it has none.
type source func(context.Context, target) (credential, bool, error)

type credential struct {
	auth   authn.Authenticator
	source string
}

// New returns a Keychain. What the user gave is checked here; what the
// environment holds is looked at when it is needed.
func New(o Options) (*Keychain, error) {
	o = o.withDefaults()
	explicit, err := explicitSource(o)
	if err != nil {
		return nil, err
	}
	web, skipped := newWeb(o.Transport), &skips{debug: o.Debug}
	given, err := registryAuthSource(o.RegistryAuth, web)
	if err != nil {
		return nil, err
	}
	config, err := newDockerConfig(o, skipped)
	if err != nil {
		return nil, err
	}
	return &Keychain{
		sources: []source{
			explicit.find, given.find, config.find, githubSource(o),
			once(ecrSource(o, web, skipped)), once(googleSource(o, web)), once(azureSource(o, web)),
		},
		debug:    o.Debug,
		skipped:  skipped,
		secrets:  secrets(o, explicit, given, config),
		winners:  map[string]string{},
		reported: map[string]bool{},
	}, nil
}

// Resolve implements authn.Keychain.
func (k *Keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), r)
}

// resolveTimeout bounds all sources of one registry together.
const resolveTimeout = time.Minute

// ResolveContext implements authn.ContextKeychain. It returns authn.Anonymous
// when no source has credentials. Errors are of type *fault.Error.
func (k *Keychain) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	t := newTarget(r)
	c, _, err := k.answers.do(ctx, t.path, func() (credential, bool, error) { return k.ask(ctx, t) })
	if err != nil {
		return nil, err
	}
	return c.auth, nil
}

func (k *Keychain) ask(ctx context.Context, t target) (credential, bool, error) {
	for _, find := range k.sources {
		c, ok, err := find(ctx, t)
		if err != nil {
			return credential{}, false, err
		}
		if ok {
			k.won(t, c.source, "credentials from "+c.source)
			return c, true, nil
		}
	}
	k.won(t, anonymous, "no credentials, asking anonymously")
	return credential{authn.Anonymous, anonymous}, true, nil
}

const anonymous = "anonymous"

func (k *Keychain) won(t target, source, line string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.winners[t.path], k.winners[t.host] = source, source
	if key := t.host + " " + source; !k.reported[key] {
		k.reported[key] = true
		k.debug("registry " + display(t.host) + ": " + line)
	}
}

// Source returns the name of the source that won for a registry or a
// repository, "anonymous" when none had credentials, and "" when it was not
// asked for. It never holds a secret.
func (k *Keychain) Source(name string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := canonical(name)
	if s, ok := k.winners[key]; ok {
		return s
	}
	return k.winners[hostOf(key)]
}

// Skipped returns why sources that should have had credentials for a registry
// were passed over, such as a credential program that is not installed. These
// are no failures by themselves; they explain a later 401.
func (k *Keychain) Skipped(registry string) []error {
	return k.skipped.of(hostOf(canonical(registry)))
}

// Secrets returns every secret among the options, for masking: passwords,
// tokens and their Base64 forms as they stand in HTTP headers.
func (k *Keychain) Secrets() []string { return append([]string(nil), k.secrets...) }
