package main

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/kmsigner/kmstest"
)

func TestDescribe(t *testing.T) {
	server, err := kmstest.New(kmstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	var b strings.Builder
	if err := describe(&b, server, kmstest.P256, "alias/release"); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"URL=" + server.URL, "KEY_ARN=arn:aws:kms:eu-west-1:111122223333:key/",
		"KEY_ALIAS=arn:aws:kms:eu-west-1:111122223333:alias/release", "AWS_ENDPOINT_URL_KMS=" + server.URL, "AWS_SECRET_ACCESS_KEY="} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("the output lacks %q:\n%s", line, b.String())
		}
	}
	for name, f := range map[string]func() error{
		"spec":  func() error { return describe(&b, server, "SM2", "") },
		"alias": func() error { return describe(&b, server, kmstest.P256, "release") },
	} {
		if f() == nil {
			t.Errorf("a bad %s was accepted", name)
		}
	}
}
