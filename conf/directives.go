package conf

// directiveNames are the variables carried back from a dkms.conf, in upstream's order (dkms_conf_variables of dkms.in).
// The order is visible: a value may refer to a variable that stands before it, see second_evaluation.go.
// The names in lower case are upstream's own; a file can set them, and a few of them have an effect.
func directiveNames() []string {
	return []string{
		"PACKAGE_NAME", "PACKAGE_VERSION", "POST_ADD", "POST_BUILD", "POST_INSTALL", "POST_REMOVE", "PRE_BUILD",
		"PRE_INSTALL", "BUILD_DEPENDS", "BUILD_EXCLUSIVE_ARCH", "BUILD_EXCLUSIVE_CONFIG", "BUILD_EXCLUSIVE_KERNEL",
		"BUILD_EXCLUSIVE_KERNEL_MIN", "BUILD_EXCLUSIVE_KERNEL_MAX", "build_exclude", "MAKE", "MAKE_MATCH", "PATCH",
		"PATCH_MATCH", "patch_array", "BUILT_MODULE_NAME", "built_module_name", "BUILT_MODULE_LOCATION",
		"built_module_location", "DEST_MODULE_NAME", "dest_module_name", "DEST_MODULE_LOCATION", "dest_module_location",
		"STRIP", "strip", "AUTOINSTALL", "NO_WEAK_MODULES", "BUILD_DEPENDS_REBUILD", "OBSOLETE_BY", "CLEAN",
		"REMAKE_INITRD", "MODULES_CONF", "MODULES_CONF_OBSOLETES", "MODULES_CONF_ALIAS_TYPE", "MODULES_CONF_OBSOLETE_ONLY",
	}
}

// deprecatedNames are the directives that are reported as deprecated, in the order upstream reports them (safe_source).
func deprecatedNames() []string {
	return []string{
		"CLEAN", "REMAKE_INITRD", "MODULES_CONF", "MODULES_CONF_OBSOLETES", "MODULES_CONF_ALIAS_TYPE",
		"MODULES_CONF_OBSOLETE_ONLY", "OBSOLETE_BY",
	}
}

// frameworkNames are the variables carried back from framework.conf: upstream's dkms_framework_nonsigning_variables
// followed by its dkms_framework_signing_variables.
func frameworkNames() []string {
	return []string{
		"source_tree", "dkms_tree", "install_tree", "tmp_location", "verbose", "symlink_modules",
		"autoinstall_all_kernels", "modprobe_on_install", "parallel_jobs", "compress_gzip_opts", "compress_xz_opts",
		"compress_zstd_opts", "build_environment", "post_transaction", "sign_file", "mok_signing_key", "mok_certificate",
		"try_sign_modules", "continue_on_error",
	}
}
