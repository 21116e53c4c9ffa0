package keychain

import "net/http"

// Options are what a user can say about credentials. The zero value asks the
// environment only.
type Options struct {
	// Username and Password are for the registry of the images of this run,
	// which Registries names. They are refused when it names several: a
	// password must not travel to a registry that it is not for.
	Username, Password string
	Registries         []string

	// RegistryAuth is a YAML list of entries with registry, username,
	// password, ecr and scope.
	RegistryAuth string

	// DockerConfig is a path to a config.json, or to its folder, or the JSON.
	DockerConfig string

	// GitHubToken and GitHubActor are for ghcr.io. The environment's
	// GITHUB_TOKEN and GITHUB_ACTOR stand in for them.
	GitHubToken, GitHubActor string

	// Getenv reads the environment; nil means an empty one. Credential
	// programs and AWS profiles see the environment of the process instead.
	Getenv func(string) string

	// Debug receives one line for each registry that was asked for, and one
	// for each source that was passed over; nil drops them.
	Debug func(string)

	// Transport makes the requests for cloud tokens; nil is
	// http.DefaultTransport.
	Transport http.RoundTripper
}

func (o Options) withDefaults() Options {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Debug == nil {
		o.Debug = func(string) {}
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	return o
}
