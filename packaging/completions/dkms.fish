# Completion of dkms(8) for fish.

set -l verbs add build install uninstall unbuild remove status autoinstall sync match mktarball ldtarball generate_mok key sign depmod recover ready initramfs watch

# Every module/version in the DKMS tree.
function __dkms_pairs
    for source in /var/lib/dkms/*/*/source
        string replace -r '^/var/lib/dkms/(.*)/source$' '$1' $source
    end
end

# Every module/version that has a source directory.
function __dkms_sources
    for conf in /usr/src/*-*/dkms.conf
        string replace -r '^/usr/src/(.*)-([^-]*)/dkms\.conf$' '$1/$2' $conf
    end
end

function __dkms_kernels
    for dir in /lib/modules/*/
        path basename $dir
    end
end

complete -c dkms -f
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a add -d 'Register a module from its source'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a mktarball -d 'Put a module and its builds into an archive'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a ldtarball -d 'Register a module out of an archive'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a build -d 'Compile a module for a kernel'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a install -d 'Put a built module where modprobe looks'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a uninstall -d 'Take an installed module away again'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a unbuild -d 'Delete what was built for a kernel'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a remove -d 'Forget a module, or what it has for a kernel'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a status -d 'Tell what is registered, built and installed'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a autoinstall -d 'Install every module that wants it into a kernel'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a sync -d 'Bring every module in every kernel up to date'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a ready -d 'Tell whether a kernel can be started without missing a module'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a initramfs -d 'Make the boot images that are due'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a watch -d 'Wait for kernels and headers, and build'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a match -d 'Install what is installed for another kernel'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a generate_mok -d 'Make the key pair to sign with'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a depmod -d 'Write the indexes of a kernel\'s modules'

complete -c dkms -n '__fish_seen_subcommand_from depmod ready' -a '(__dkms_kernels)'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -s a -l all -d 'Index all modules'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -s A -l quick -d 'Only if a module is newer'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -s b -l basedir -x -a '(__fish_complete_directories)' -d 'System that the kernel is in'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -s o -l outdir -x -a '(__fish_complete_directories)' -d 'Write the indexes there'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -l moduledir -x -a '(__fish_complete_directories)' -d 'Where modules are below that'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -s C -r -F -d 'Rules to read'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -s E -l symvers -r -F -d 'Module.symvers of the kernel'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -s F -l filesyms -r -F -d 'System.map of the kernel'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -s e -l errsyms -d 'Tell which symbols nobody has'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -s P -l symbol-prefix -x -d 'What is put before symbols'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -s n -l show -d 'Print and write nothing'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -s w -l warn -d 'Tell of entries that are there twice'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -l files-of -x -a '30 31 32 33 34' -d 'Write what that version of kmod writes'
complete -c dkms -n '__fish_seen_subcommand_from depmod' -l cache -x -a '(__fish_complete_directories)' -d 'Where to keep what was read'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a recover -d 'Complete or take back what was interrupted'

complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a key -d 'Tell of the signing key, have it trusted, verify signatures'
complete -c dkms -n "not __fish_seen_subcommand_from $verbs" -a sign -d 'Sign module files in place'
complete -c dkms -n '__fish_seen_subcommand_from key; and not __fish_seen_subcommand_from status enroll verify' -a 'status enroll verify'
complete -c dkms -n '__fish_seen_subcommand_from sign verify' -a '(__fish_complete_path)'

complete -c dkms -n '__fish_seen_subcommand_from build install uninstall unbuild remove status match' -a '(__dkms_pairs)'
complete -c dkms -n '__fish_seen_subcommand_from add' -a '(__dkms_sources)'
complete -c dkms -n '__fish_seen_subcommand_from add build install' -a '(__fish_complete_directories)'

complete -c dkms -s m -l module -x -a '(__dkms_pairs)' -d 'Module and version'
complete -c dkms -s v -x -d 'Version of the module'
complete -c dkms -s k -l kernelver -x -a '(__dkms_kernels)' -d 'Kernel to work for'
complete -c dkms -s a -l arch -x -a '(uname -m)' -d 'Architecture of the kernel'
complete -c dkms -s c -r -F -d 'dkms.conf to read'
complete -c dkms -s j -x -d 'Number of jobs'
complete -c dkms -s q -l quiet -d 'Say nothing'
complete -c dkms -s V -l version -d 'Print the version'
complete -c dkms -s h -l help -d 'Print a summary'
complete -c dkms -l all -d 'Every kernel the module is built for'
complete -c dkms -l all-kernels -d 'Every kernel, for autoinstall'
complete -c dkms -l dry-run -d 'Print the plan and do nothing'
complete -c dkms -l trace -r -F -d 'Write a timeline of the run'
complete -c dkms -l force -d 'See the manual of the verb'
complete -c dkms -l force-version-override -d 'Install even over a newer version'
complete -c dkms -l config -r -F -d 'Configuration of the kernel'
complete -c dkms -l debug -d 'Tell what happens inside'
complete -c dkms -l directive -x -d 'Override one line of dkms.conf'
complete -c dkms -l dkmstree -x -a '(__fish_complete_directories)' -d 'Where dkms keeps what it knows'
complete -c dkms -l sourcetree -x -a '(__fish_complete_directories)' -d 'Where sources live'
complete -c dkms -l installtree -x -a '(__fish_complete_directories)' -d 'Where kernels live'
complete -c dkms -l kernelsourcedir -x -a '(__fish_complete_directories)' -d 'Kernel headers to build against'
complete -c dkms -l root -x -a '(__fish_complete_directories)' -d 'Work on the system below a directory'
complete -c dkms -l modprobe-on-install -d 'Load what was installed'
complete -c dkms -l no-initramfs -d 'Leave the boot image alone'
complete -c dkms -l initramfs-later -d 'Note that the boot image is due'
complete -c dkms -l no-depmod -d 'Leave the indexes of modules alone'
complete -c dkms -l symlink-modules -d 'Install links instead of copies'
complete -c dkms -l templatekernel -x -a '(__dkms_kernels)' -d 'Kernel that match takes as its model'
complete -c dkms -l json -d 'Print JSON'
complete -c dkms -l signing-key -r -F -d 'Private key instead of the configured one'
complete -c dkms -l certificate -r -F -d 'Certificate instead of the configured one'
complete -c dkms -l password-hash-file -r -F -d 'Hash of the password for the next boot'
complete -c dkms -l verbose -d 'Show commands and their output'
