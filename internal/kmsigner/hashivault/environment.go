package hashivault

import (
	"cmp"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// environment reads the variables of one family: VAULT_… or BAO_….
type environment struct {
	lookup func(string) (string, bool)
	prefix string // "VAULT_" or "BAO_"
}

// newEnvironment chooses the family once, by where the address is: a token for
// one server is never sent to the other. The scheme of the URI decides when
// both have an address.
func newEnvironment(lookup func(string) (string, bool), openBao bool) environment {
	if lookup == nil {
		lookup = os.LookupEnv
	}
	own, other := environment{lookup, "VAULT_"}, environment{lookup, "BAO_"}
	if openBao {
		own, other = other, own
	}
	if own.get("ADDR") == "" && other.get("ADDR") != "" {
		return other
	}
	return own
}

// get returns a variable of the family, without white space around it: secrets
// often end with a newline.
func (e environment) get(name string) string { return e.plain(e.prefix + name) }

// plain returns a variable by its whole name.
func (e environment) plain(name string) string {
	value, _ := e.lookup(name)
	return strings.TrimSpace(value)
}

// target is where the key is.
type target struct {
	reference
	address *url.URL // scheme, host and, behind some proxies, a path
	home    string   // the namespace of the login, and so of the token
}

// newTarget completes what the URI says with the environment.
func newTarget(ref reference, env environment) (target, error) {
	t := target{reference: ref}
	var err error
	if t.address, err = address(env); err != nil {
		return target{}, err
	}
	ambient, err := env.path("VAULT_NAMESPACE or BAO_NAMESPACE", env.get("NAMESPACE"))
	if err != nil {
		return target{}, err
	}
	t.namespace, t.home = cmp.Or(t.namespace, ambient), cmp.Or(ambient, t.namespace)
	if t.mount == "" { // cosign's variable
		t.mount, err = env.path("TRANSIT_SECRET_ENGINE_PATH", cmp.Or(env.plain("TRANSIT_SECRET_ENGINE_PATH"), "transit"))
	}
	return t, err
}

func (e environment) path(name, value string) (string, error) {
	p, ok := path(value)
	if value != "" && !ok {
		return "", fault.Configf("vault_config_invalid", "write it as team/project", "the value of %s is not a path", name)
	}
	return p, nil
}

// address reads VAULT_ADDR. It repeats the value in no message: it may hold a
// password.
func address(env environment) (*url.URL, error) {
	name := env.prefix + "ADDR"
	raw := env.get("ADDR")
	if raw == "" {
		return nil, fault.Configf("vault_address_missing", "set VAULT_ADDR, or BAO_ADDR for OpenBao, to https://host:8200 in the step's env:",
			"no address of a Vault or OpenBao server was given: VAULT_ADDR and BAO_ADDR are empty")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Host == "", u.Opaque != "", u.User != nil, u.RawQuery != "", u.Fragment != "", u.Scheme != "https" && u.Scheme != "http":
		return nil, fault.Configf("vault_config_invalid", "write it as https://host:8200, without a user, a query or a fragment", "the value of %s is not the address of a server", name)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fault.Configf("vault_config_invalid", "use https; only a server on this machine may be asked without", "%s is plain HTTP to %s, which would show the token to the network", name, u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.Host = strings.TrimSuffix(strings.ToLower(u.Host), map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// keyPath is the path of the key in the API, below /v1/.
func (t target) keyPath() string { return t.mount + "/keys/" + t.name }

// String names the key in messages: team/transit/keys/release.
func (t target) String() string {
	if t.namespace != "" {
		return t.namespace + "/" + t.keyPath()
	}
	return t.keyPath()
}

// id is the immutable identity of a version of the key. The scheme does not
// depend on how the key was asked for.
func (t target) id(version int) string {
	query := url.Values{"version": {strconv.Itoa(version)}}
	if t.namespace != "" {
		query.Set("namespace", t.namespace)
	}
	return "hashivault://" + t.address.Host + t.address.Path + "/" + t.keyPath() + "?" + query.Encode()
}
