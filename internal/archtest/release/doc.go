// Package release checks, as a test, that script/release.sh makes the same bytes
// from two folders, for the system that the tests run on. For all systems and
// from nothing, which takes ten minutes: script/release.sh --twice v0.0.0 DIR.
package release
