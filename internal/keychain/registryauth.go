package keychain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/signgate/signgate/internal/fault"
	"go.yaml.in/yaml/v3"
)

// registryEntry is one entry of registry-auth, as docker/login-action v4 reads
// it. Without a registry it is for Docker Hub. For an ECR host, unless ecr is
// false, the pair is an AWS key id and its secret. A scope is a repository
// path below the registry.
type registryEntry struct {
	Registry string `yaml:"registry"`
	Username string `yaml:"username"`
	Password string `yaml:"password"`
	ECR      string `yaml:"ecr"`
	Scope    string `yaml:"scope"`
}

// registryAuthSource parses the input registry-auth.
func registryAuthSource(text string, w *web) (table, error) {
	t := table{source: "registry-auth", entries: map[string]authn.AuthConfig{}, aws: map[string]source{}}
	if strings.TrimSpace(text) == "" {
		return t, nil
	}
	entries, err := parseRegistryAuth(text)
	if err != nil {
		return t, authInvalid("registry-auth is not a YAML list of entries with registry, username, password, ecr and scope%s", yamlLine(err))
	}
	for i, e := range entries {
		if err := t.add(e, w); err != nil {
			return t, authInvalid("entry %d of registry-auth, for %s, %w", i+1, display(e.key()), err)
		}
	}
	return t, nil
}

func parseRegistryAuth(text string) ([]registryEntry, error) {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	var entries []registryEntry
	if err := decoder.Decode(&entries); err != nil {
		return nil, err
	}
	if decoder.Decode(new(any)) != io.EOF {
		return nil, errors.New("more than one document")
	}
	if len(entries) == 0 {
		return nil, errors.New("no entries")
	}
	return entries, nil
}

// add checks an entry and files it.
func (t table) add(e registryEntry, w *web) error {
	key := e.key()
	if _, ok := t.entries[key]; ok || t.aws[key] != nil {
		return errors.New("is there twice")
	}
	if strings.Contains(e.Scope, "@") {
		return errors.New("has a scope with @, which signgate does not know")
	}
	service, isECR := ecrServiceOf(hostOf(key))
	isECR = isECR && !strings.EqualFold(e.ECR, "false")
	switch {
	case isECR && e.Username == "" && e.Password == "":
		return nil // the environment's AWS credentials are asked later
	case e.Username == "" || e.Password == "":
		return errors.New("needs a username and a password")
	case isECR && e.Username != "AWS":
		provider := credentials.NewStaticCredentialsProvider(e.Username, e.Password, "")
		t.aws[key] = once(ecrExchange(w, "registry-auth", service, func(context.Context) (aws.CredentialsProvider, error) { return provider, nil }))
		t.entries[key] = authn.AuthConfig{Username: e.Username, Password: e.Password} // for masking; aws is asked first
	default:
		t.entries[key] = authn.AuthConfig{Username: e.Username, Password: e.Password}
	}
	return nil
}

func (e registryEntry) key() string {
	return canonical(strings.TrimSuffix(firstOf(e.Registry, "docker.io"), "/") + "/" + strings.Trim(e.Scope, "/"))
}

func authInvalid(format string, args ...any) error {
	return fault.Configf("registry_auth_invalid", "correct the input registry-auth, which has the form of docker/login-action v4", format, args...)
}

var yamlLineForm = regexp.MustCompile(`line (\d+)`)

// yamlLine tells where the YAML is wrong. The message itself stays out of the
// error: it quotes values, and the values are passwords.
func yamlLine(err error) string {
	if m := yamlLineForm.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Sprintf(" (line %s)", m[1])
	}
	return ""
}
