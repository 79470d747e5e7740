//go:build goexperiment.runtimesecret

package secretmem

import "runtime/secret"

// Erasing tells whether the build erases what Do leaves, by itself.
const Erasing = true

// Do runs f, which handles secrets: the runtime erases its registers and stack
// when it returns, and what it allocated once that is garbage (on linux/amd64
// and linux/arm64; elsewhere it just runs f).
func Do(f func()) { secret.Do(f) }
