package interop

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"
)

// registry is a registry on loopback and the way to it.
type registry struct {
	host string
	auth authn.Authenticator
	env  []string // the credentials, for child processes
}

// modes are the registries that signatures are attached to.
var modes = []struct {
	name  string
	start func(*testing.T) registry
}{
	{"referrers API", startReferrers},
	{"fallback tag", startFallback},
	{"bearer token", startBearer},
}

// eachMode runs a test in every registry mode.
func eachMode(t *testing.T, test func(*testing.T, registry)) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			test(t, mode.start(t))
		})
	}
}

// startReferrers starts olareg, which has the referrers API.
func startReferrers(t *testing.T) registry { return startOlareg(t, config.ConfigAPI{}) }

// startOlareg starts olareg with a configuration.
func startOlareg(t *testing.T, api config.ConfigAPI) registry {
	server := httptest.NewServer(olaregHandler(t, api))
	t.Cleanup(server.Close)
	return registry{host: server.Listener.Addr().String(), auth: authn.Anonymous, env: dockerConfig(t, "{}")}
}

func olaregHandler(t *testing.T, api config.ConfigAPI) http.Handler {
	handler := olareg.New(config.Config{Storage: config.ConfigStorage{StoreType: config.StoreMem}, API: api})
	t.Cleanup(func() {
		if err := handler.Close(); err != nil {
			t.Error(err)
		}
	})
	return handler
}

// startFallback starts the CNCF distribution, which has no referrers API.
func startFallback(t *testing.T) registry {
	return registry{host: startDistribution(t, ""), auth: authn.Anonymous, env: dockerConfig(t, "{}")}
}

// startDistribution starts the CNCF distribution with one more line of
// configuration.
func startDistribution(t *testing.T, more string) (host string) {
	host = freeAddress(t)
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {inmemory: {}}\nhttp: {addr: '%s'}\n%s\n", host, more)
	start(t, programs.registry, "serve", write(t, "registry.yml", text))
	answers(t, "http://"+host+"/v2/")
	return host
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// dockerConfig writes a Docker config.json and returns the variable that names
// its folder.
func dockerConfig(t *testing.T, text string) []string {
	return []string{"DOCKER_CONFIG=" + filepath.Dir(write(t, "config.json", text))}
}

// as returns the registry with other credentials.
func (r registry) as(t *testing.T, user, password string) registry {
	r.auth = &authn.Basic{Username: user, Password: password}
	login := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	r.env = dockerConfig(t, fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, r.host, login))
	return r
}
