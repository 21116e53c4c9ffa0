package awskms

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// reference is a parsed awskms URI.
type reference struct {
	host   string // of another endpoint, with https, or ""
	key    string // key ID, key ARN, alias or alias ARN, as AWS KMS takes it
	region string // of the ARN or the query, or ""
	inARN  bool   // region is the ARN's
	imds   bool

	failover []string // the other Regions of a multi-Region key, in order
}

const (
	maxURI    = 2048
	schemeURI = "awskms://"
	idForm    = `(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|` + multiForm + `)`
	aliasForm = `alias/[A-Za-z0-9:/_-]{1,250}`
	multiForm = `mrk-[0-9a-f]{32}`
	region    = `[a-z]{2,8}(?:-[a-z]{1,16}){1,3}-[0-9]{1,2}`
)

var (
	keyForm    = regexp.MustCompile(`^(?:` + idForm + `|` + aliasForm + `|arn:aws[a-z-]*:kms:(` + region + `):[0-9]{12}:(?:key/` + idForm + `|` + aliasForm + `))$`)
	hostForm   = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:]{2,39}\])(?::[0-9]{1,5})?$`)
	regionForm = regexp.MustCompile(`^` + region + `$`)
	listForm   = regexp.MustCompile(`^` + region + `(?:,` + region + `){0,7}$`)
	multiName  = regexp.MustCompile(`(?:^|:key/)` + multiForm + `$`)
	arnForm    = regexp.MustCompile(`^arn:aws[a-z-]*:kms:(` + region + `):[0-9]{12}:key/` + idForm + `$`)
)

// parse reads awskms://[host]/key[?region=…&failover=…,…&imds=true].
func parse(uri string) (reference, error) {
	rest, ok := strings.CutPrefix(uri, schemeURI)
	if !ok || len(uri) > maxURI {
		return reference{}, invalid(uri, "it does not start with awskms:// or is too long")
	}
	path, query, asked := strings.Cut(rest, "?")
	host, key, ok := strings.Cut(path, "/")
	if !ok || looksLikeKey(host) {
		return reference{}, invalid(uri, "the key has to follow a third slash")
	}
	if host != "" && !hostForm.MatchString(host) {
		return reference{}, invalid(uri, "the host before the third slash is malformed")
	}
	m := keyForm.FindStringSubmatch(key)
	if m == nil {
		return reference{}, invalid(uri, "what follows the third slash is not a key ID, key ARN, alias/NAME or alias ARN")
	}
	ref := reference{host: host, key: key, region: m[1], inARN: m[1] != ""}
	if asked {
		if err := ref.parseQuery(uri, query); err != nil {
			return ref, err
		}
	}
	return ref, ref.checkFailover()
}

// looksLikeKey reports whether somebody wrote two slashes where there have to
// be three.
func looksLikeKey(host string) bool { return host == "alias" || strings.HasPrefix(host, "arn:") }

func (ref *reference) parseQuery(uri, query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return invalid(uri, "its query is malformed")
	}
	for name, value := range values {
		switch {
		case len(value) != 1:
			return invalid(uri, "a query parameter is given twice")
		case name == "imds" && (value[0] == "true" || value[0] == "false"):
			ref.imds = value[0] == "true"
		case name == "region" && regionForm.MatchString(value[0]):
			if ref.inARN && ref.region != value[0] {
				return invalid(uri, "region= contradicts the Region of the ARN")
			}
			ref.region = value[0]
		case name == "failover" && listForm.MatchString(value[0]):
			ref.failover = strings.Split(value[0], ",")
		default:
			return invalid(uri, "its query may hold region=REGION, failover=REGION,REGION and imds=true only")
		}
	}
	return nil
}

// mayBe reports whether the key with the ARN arn can be the one that was asked
// for: any key of the account and Region for an alias ARN, any key of the
// Region for an alias, and otherwise only one.
func (ref *reference) mayBe(arn, region string) bool {
	m := arnForm.FindStringSubmatch(arn)
	before, name, isARN := strings.Cut(ref.key, ":alias/")
	switch {
	case m == nil || m[1] != region:
		return false
	case strings.HasPrefix(ref.key, "alias/"):
		return true
	case isARN && name != "":
		return strings.HasPrefix(arn, before+":key/")
	case strings.HasPrefix(ref.key, "arn:"):
		return strings.EqualFold(arn, ref.key)
	}
	return strings.EqualFold(arn[strings.LastIndex(arn, "/")+1:], ref.key)
}

func invalid(uri, why string) error {
	if len(uri) > 300 {
		uri = uri[:300] + "…"
	}
	return fault.Configf("kms_uri_invalid", "write awskms:///alias/NAME, awskms:///KEY-ID or awskms:///arn:aws:kms:REGION:ACCOUNT:key/KEY-ID",
		"the key %q is not understood: %s", uri, why)
}
