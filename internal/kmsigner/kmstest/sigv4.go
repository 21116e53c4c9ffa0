package kmstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	basicTime = "20060102T150405Z"
	maxSkew   = 5 * time.Minute
)

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/,]+)/([0-9]{8})/([^/,]+)/([^/,]+)/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$`)

// scope is what the Authorization header says about the signature.
type scope struct {
	accessKey, date, region, service string
	headers                          []string
	signature                        string
}

// authenticate checks the SigV4 signature of a request (Create a signed AWS API
// request, IAM User Guide).
func (s *Server) authenticate(r *http.Request, body []byte) *apiError {
	header := r.Header.Get("Authorization")
	if header == "" {
		return refuse("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	m := authorization.FindStringSubmatch(header)
	if m == nil {
		return refuse("IncompleteSignatureException", "Authorization header is not of the form AWS4-HMAC-SHA256.")
	}
	sc := scope{m[1], m[2], m[3], m[4], strings.Split(m[5], ";"), m[6]}
	for _, check := range []func(scope, *http.Request) *apiError{s.checkCredentials, s.checkScope, s.checkDate, checkHeaders} {
		if failure := check(sc, r); failure != nil {
			return failure
		}
	}
	return s.checkSignature(sc, r, body)
}

func (s *Server) checkCredentials(sc scope, r *http.Request) *apiError {
	s.mu.Lock()
	over := s.expired
	s.mu.Unlock()
	if sc.accessKey != s.opts.AccessKeyID || r.Header.Get("X-Amz-Security-Token") != s.opts.SessionToken {
		return refuse("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	if over {
		return expired()
	}
	return nil
}

func (s *Server) checkScope(sc scope, _ *http.Request) *apiError {
	if sc.service != "kms" {
		return refuse("InvalidSignatureException", "Credential should be scoped to correct service: 'kms'. ")
	}
	if sc.region != s.opts.Region {
		return refuse("InvalidSignatureException", "Credential should be scoped to a valid region, not '%s'. ", sc.region)
	}
	return nil
}

func (s *Server) checkDate(sc scope, r *http.Request) *apiError {
	date := r.Header.Get("X-Amz-Date")
	sent, err := time.Parse(basicTime, date)
	if err != nil {
		return refuse("IncompleteSignatureException", "Authorization header requires existence of a valid 'X-Amz-Date' header.")
	}
	if !strings.HasPrefix(date, sc.date) {
		return refuse("InvalidSignatureException", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.",
			sc.date, date[:8], date)
	}
	now := s.opts.Now().UTC()
	if earliest := now.Add(-maxSkew); sent.Before(earliest.Truncate(time.Second)) {
		return refuse("InvalidSignatureException", "Signature expired: %s is now earlier than %s (%s - 5 min.)",
			date, earliest.Format(basicTime), now.Format(basicTime))
	}
	if latest := now.Add(maxSkew); sent.After(latest) {
		return refuse("InvalidSignatureException", "Signature not yet current: %s is still later than %s (%s + 5 min.)",
			date, latest.Format(basicTime), now.Format(basicTime))
	}
	return nil
}

// checkHeaders checks that the headers that steer the service are signed.
func checkHeaders(sc scope, r *http.Request) *apiError {
	needed := []string{"host", "content-type"}
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") {
			needed = append(needed, name)
		}
	}
	for _, name := range needed {
		if !slices.Contains(sc.headers, name) {
			return refuse("InvalidSignatureException", "'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	return nil
}

func (s *Server) checkSignature(sc scope, r *http.Request, body []byte) *apiError {
	canonical := canonicalRequest(sc, r, body)
	credential := sc.date + "/" + sc.region + "/" + sc.service + "/aws4_request"
	toSign := "AWS4-HMAC-SHA256\n" + r.Header.Get("X-Amz-Date") + "\n" + credential + "\n" + hexSum(canonical)
	key := []byte("AWS4" + s.opts.SecretAccessKey)
	for part := range strings.SplitSeq(credential, "/") {
		key = mac(key, part)
	}
	if hmac.Equal([]byte(hex.EncodeToString(mac(key, toSign))), []byte(sc.signature)) {
		return nil
	}
	// The service does repeat the request with its session token here.
	return refuse("InvalidSignatureException", "The request signature we calculated does not match the signature you provided. "+
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\n"+
		"The Canonical String for this request should have been\n'%s'\n\nThe String-to-Sign should have been\n'%s'\n", canonical, toSign)
}

func canonicalRequest(sc scope, r *http.Request, body []byte) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n/\n\n") // route refused other paths and queries
	for _, name := range sc.headers {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(sc.headers, ";") + "\n" + hexSum(string(body)))
	return b.String()
}

func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	}
	values := slices.Clone(r.Header.Values(name))
	for i, v := range values {
		values[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(values, ",")
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
