// Package picture is the photo that the demonstration sends, so that a person
// who tries the project needs none of their own. It was made by the program in
// folder paint and is under the project's licence.
package picture

import _ "embed"

//go:generate go run ./paint

// Name is the photo's file name.
const Name = "lake-at-sunrise.jpg"

// JPEG is the photo, 2400 by 1600 pixels.
//
//go:embed lake.jpg
var JPEG []byte
