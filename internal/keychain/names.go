package keychain

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// target is what credentials are wanted for.
type target struct {
	host string // canonical registry, with a port if there is one
	path string // host and repository
}

func newTarget(r authn.Resource) target {
	return target{host: canonical(r.RegistryStr()), path: canonical(r.String())}
}

// candidates are the names under which credentials for the target can stand,
// the most particular first: ghcr.io/o/r, ghcr.io/o, ghcr.io.
func (t target) candidates() []string {
	out := []string{t.path}
	for path := t.path; path != t.host; {
		cut := strings.LastIndexByte(path, '/')
		if cut < 0 {
			break
		}
		path = path[:cut]
		out = append(out, path)
	}
	return out
}

// canonical brings the many spellings of a registry, with or without a path,
// to one: no scheme, host in lower case, one name for Docker Hub, and nothing
// left of the API version in keys such as https://index.docker.io/v1/.
func canonical(s string) string {
	s = strings.TrimSpace(s)
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s = rest
	}
	host, path, _ := strings.Cut(s, "/")
	host, path = strings.ToLower(host), strings.Trim(path, "/")
	switch host {
	case "docker.io", "registry-1.docker.io":
		host = name.DefaultRegistry
	}
	if path == "" || path == "v1" || path == "v2" {
		return host
	}
	return host + "/" + path
}

func hostOf(canonical string) string {
	host, _, _ := strings.Cut(canonical, "/")
	return host
}

// display is the name that people use.
func display(canonical string) string {
	if rest, ok := strings.CutPrefix(canonical, name.DefaultRegistry); ok {
		return "docker.io" + rest
	}
	return canonical
}

// helperKey is the name under which docker stores credentials for a host.
func helperKey(host string) string {
	if host == name.DefaultRegistry {
		return authn.DefaultAuthKey
	}
	return host
}
