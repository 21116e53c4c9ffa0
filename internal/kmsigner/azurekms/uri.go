package azurekms

import (
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"

	"github.com/signgate/signgate/internal/fault"
)

// reference is a parsed azurekms URI.
type reference struct {
	host    string // of the vault, in lower case
	name    string // of the key, as given
	version string // in lower case, or "" for the current one
	place   place
}

// place is what the host of a vault tells: the service and its cloud.
type place struct {
	suffix   string // of the host; also the resource that a token is for
	service  string
	cloud    string
	config   cloud.Configuration
	logins   []string // the hosts of Entra ID that a token may be asked of
	audience string   // of a federated token in this cloud
}

// places has the hosts of Key Vault and Managed HSM (About keys, secrets, and
// certificates, "DNS suffixes for object identifiers") with the authority and
// the federation audience of their cloud.
var places = concat(
	within("Azure", cloud.AzurePublic, "api://AzureADTokenExchange",
		[]string{"login.microsoftonline.com", "login.microsoft.com", "login.windows.net"}, "azure.net"),
	within("Azure China", cloud.AzureChina, "api://AzureADTokenExchangeChina",
		[]string{"login.chinacloudapi.cn", "login.partner.microsoftonline.cn"}, "azure.cn"),
	within("Azure Government", cloud.AzureGovernment, "api://AzureADTokenExchangeUSGov",
		[]string{"login.microsoftonline.us"}, "usgovcloudapi.net"),
)

func within(name string, config cloud.Configuration, audience string, logins []string, domain string) []place {
	return []place{
		{"vault." + domain, "Key Vault", name, config, logins, audience},
		{"managedhsm." + domain, "Managed HSM", name, config, logins, audience},
	}
}

func concat(lists ...[]place) (all []place) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

const (
	schemeURI   = "azurekms://"
	maxURI      = 1024
	nameForm    = `[0-9A-Za-z-]{1,127}`
	versionForm = `[0-9A-Fa-f]{32}`
)

// Names of vaults have 3 to 24 letters, digits and single hyphens, those of
// keys up to 127; a version has 32 hex digits (same page).
var (
	vaultName = regexp.MustCompile(`^[a-z](?:-?[a-z0-9])+$`)
	keyPath   = regexp.MustCompile(`^(` + nameForm + `)(?:/(` + versionForm + `))?$`)
	kidForm   = regexp.MustCompile(`^(?i:https)://([^/:@?#]+)(?::443)?/keys/(` + nameForm + `)/(` + versionForm + `)$`)
)

// parse reads azurekms://vault-host/name[/version].
func parse(uri string) (reference, error) {
	rest, ok := strings.CutPrefix(uri, schemeURI)
	if !ok || len(uri) > maxURI {
		return reference{}, invalid(uri, "it does not start with azurekms:// or is too long")
	}
	host, path, _ := strings.Cut(rest, "/")
	host = strings.ToLower(host)
	vault, suffix, _ := strings.Cut(host, ".")
	where, known := placeOf(suffix)
	switch m := keyPath.FindStringSubmatch(path); {
	case !known:
		return reference{}, invalid(uri, "its host is not one of "+suffixes())
	case !vaultName.MatchString(vault) || len(vault) < 3 || len(vault) > 24:
		return reference{}, invalid(uri, "its host does not begin with the name of a vault")
	case m == nil:
		return reference{}, invalid(uri, "what follows the host is not the name of a key, or its name and a version of 32 hex digits")
	default:
		return reference{host: host, name: m[1], version: strings.ToLower(m[2]), place: where}, nil
	}
}

func placeOf(suffix string) (place, bool) {
	for _, p := range places {
		if p.suffix == suffix {
			return p, true
		}
	}
	return place{}, false
}

func suffixes() string {
	var all []string
	for _, p := range places {
		all = append(all, "*."+p.suffix)
	}
	return strings.Join(all, ", ")
}

// String returns what was asked for, for messages.
func (ref reference) String() string {
	text := "https://" + ref.host + "/keys/" + ref.name
	if ref.version != "" {
		text += "/" + ref.version
	}
	return text
}

// identity is a key identifier of the service (kid) in its parts.
type identity struct{ host, name, version string }

func (id identity) String() string {
	return "https://" + id.host + "/keys/" + id.name + "/" + id.version
}

// parseKID reads a key identifier with a version.
func parseKID(kid string) (identity, bool) {
	m := kidForm.FindStringSubmatch(kid)
	if m == nil {
		return identity{}, false
	}
	return identity{strings.ToLower(m[1]), m[2], strings.ToLower(m[3])}, true
}

// mayBe reports whether id can be the key that was asked for. Azure compares
// names without regard to case.
func (ref reference) mayBe(id identity) bool {
	return id.host == ref.host && strings.EqualFold(id.name, ref.name) && (ref.version == "" || ref.version == id.version)
}

func invalid(uri, why string) error {
	if len(uri) > 300 {
		uri = strings.ToValidUTF8(uri[:300], "") + "…"
	}
	return fault.Configf("kms_uri_invalid", "write azurekms://VAULT.vault.azure.net/KEY or azurekms://VAULT.vault.azure.net/KEY/VERSION",
		"the key %q is not understood: %s", uri, why)
}
