// Package systems checks, as a test, that the command type-checks on every system
// that it is released for. Compiling for all of them takes minutes;
// script/release.sh does that.
package systems
