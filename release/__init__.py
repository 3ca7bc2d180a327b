"""Makes a release: one archive to deploy without a build, its bill of materials, and their checksums."""
