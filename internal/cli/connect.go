package cli

import (
	"crypto/x509"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/keychain"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/retry"
)

// connect makes the registry client, with the credentials for the images.
func (r *run) connect(images []image.Image) error {
	var hosts []string
	for _, img := range images {
		host, _, _ := strings.Cut(img.Repository, "/")
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	if host, _, _ := strings.Cut(r.StoreIn, "/"); host != "" && !slices.Contains(hosts, host) {
		hosts = append(hosts, host)
	}
	getenv := func(name string) string { return r.runner.TranslatePath(r.process.getenv(name)) }
	k, err := keychain.New(keychain.Options{
		Username: r.get("registry-username"), Password: r.get("registry-password"), Registries: hosts,
		RegistryAuth: r.get("registry-auth"), DockerConfig: r.runner.TranslatePath(r.get("docker-config")),
		GitHubToken: r.get("github-token"), GitHubActor: r.process.getenv("GITHUB_ACTOR"),
		Getenv: getenv, Debug: r.runner.Debug,
	})
	if err != nil {
		return err
	}
	r.runner.Mask(k.Secrets()...)
	source := func(host string) string {
		text := k.Source(host)
		for _, skipped := range k.Skipped(host) {
			text += " (passed over: " + skipped.Error() + ")"
		}
		return text
	}
	roots, err := r.registryCA()
	if err != nil {
		return err
	}
	policy := r.retry()
	policy.Budget = retry.NewBudget(20 * r.Retries)
	r.registry = registry.New(registry.Options{
		Keychain: k, Source: source, Push: r.writes(), Insecure: r.list("insecure-registries"),
		RootCAs: roots, Retry: policy, Store: r.StoreIn, Settle: r.Settle, UserAgent: "signgate/" + r.process.version(),
	})
	return nil
}

// writes reports whether the run will write to registries.
func (r *run) writes() bool {
	if doneOutput[r.report.Command] != "" {
		return !r.DryRun
	}
	return r.report.Command == "verify" && r.get("promote-tags") != ""
}

// registryCA returns the authorities that vouch for registries: the system's
// and those of the input. Nil means the system's alone.
func (r *run) registryCA() (*x509.CertPool, error) {
	text := r.get("registry-ca")
	if text == "" {
		return nil, nil
	}
	data := []byte(text)
	if !strings.HasPrefix(text, "-----BEGIN ") {
		var err error
		if data, err = readFile("registry-ca", r.runner.TranslatePath(text), maxTrust); err != nil {
			return nil, err
		}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(data) {
		return nil, fault.Configf("registry_ca_invalid", "give the authority's certificate: PEM text that begins with -----BEGIN CERTIFICATE-----", "registry-ca has no certificate")
	}
	return pool, nil
}
