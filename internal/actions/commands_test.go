package actions_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestAnnotationsAreEscaped(t *testing.T) {
	r, log, _ := inActions(t, nil)
	r.Error("a,b: c\n::add-mask::x", "50% of\r\n::stop-commands::t\n%s %d")
	want := "::error title=a%2Cb%3A c%0A%3A%3Aadd-mask%3A%3Ax::50%25 of%0D%0A::stop-commands::t%0A%25s %25d\n"
	if log.String() != want {
		t.Errorf("log %q", log)
	}
}

func TestAnnotationLimit(t *testing.T) {
	r, log, _ := inActions(t, nil)
	var all sync.WaitGroup
	for i := range 13 {
		all.Go(func() { r.Error("T", fmt.Sprint("::error::", i)) })
	}
	all.Wait()
	r.Warning("W", "one")
	r.Finish()
	text := log.String()
	if n := strings.Count("\n"+text, "\n::error title=T::"); n != 10 {
		t.Errorf("%d error annotations in\n%s", n, text)
	}
	if strings.Count(text, "\nerror: T: ::error::") != 3 || strings.Count(text, "::warning title=W::one") != 1 {
		t.Errorf("dropped annotations are not in the log:\n%s", text)
	}
	if !strings.HasSuffix(text, "3 further error annotations are in the log above only: the runner shows 10 of a kind\n") {
		t.Errorf("no final count:\n%s", text)
	}
}

func TestMask(t *testing.T) {
	r, log, _ := inActions(t, nil)
	r.Mask("", " \n", "1234", "-----BEGIN\r\n  ab%c\n\n-----END\n", "1234")
	want := []string{
		"::add-mask::1234",
		"::add-mask::-----BEGIN%0D%0A  ab%25c%0A%0A-----END%0A",
		"::add-mask::-----BEGIN%0D%0A  ab%25c%0A%0A-----END",
		"::add-mask::-----BEGIN", "::add-mask::  ab%25c", "::add-mask::ab%25c", "::add-mask::-----END",
	}
	if got := strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n"); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("masks %q", got)
	}
}

func TestDebugAndGroup(t *testing.T) {
	r, log, _ := inActions(t, nil)
	r.Debug("quiet")
	end := r.Group("signing\nghcr.io")
	end()
	end()
	if log.String() != "::group::signing%0Aghcr.io\n::endgroup::\n" {
		t.Errorf("log %q", log)
	}
	r, log, _ = inActions(t, map[string]string{"RUNNER_DEBUG": "1"})
	r.Debug("100%\n::error::x")
	if log.String() != "::debug::100%25%0A::error::x\n" {
		t.Errorf("log %q", log)
	}
}
