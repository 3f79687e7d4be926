#compdef dkms
# Completion of dkms(8) for zsh.

local -a verbs options
local dkmstree installtree sourcetree verb
local -A opt_args
local curcontext=$curcontext state line ret=1

verbs=(
  'add:register a module from its source'
  'build:compile a module for a kernel'
  'install:put a built module where modprobe looks'
  'uninstall:take an installed module away again'
  'unbuild:delete what was built for a kernel'
  'remove:forget a module, or what it has for a kernel'
  'status:tell what is registered, built and installed'
  'autoinstall:install every module that wants it into a kernel'
  'ready:tell whether a kernel can be started without missing a module'
  'initramfs:make the boot images that are due'
  'watch:wait for kernels and headers, and build'
  'sync:bring every module in every kernel up to date'
  'match:install what is installed for another kernel'
  'mktarball:put a module and its builds into an archive'
  'ldtarball:register a module out of an archive'
  'key:tell of the signing key, have it trusted, verify signatures'
  'sign:sign module files in place'
  'generate_mok:make the key pair to sign with'
  'depmod:write the indexes of a kernel'\''s modules'
  'recover:complete or take back what was interrupted'
)

# The verb depmod, the first word, has options of its own.
if [[ $words[2] == depmod && CURRENT -gt 2 ]]; then
  words=( depmod $words[3,-1] )
  (( CURRENT-- ))
  _arguments -S -s \
    '(-a --all)'{-a,--all}'[index all modules]' \
    '(-A --quick)'{-A,--quick}'[only if a module is newer]' \
    '(-b --basedir)'{-b+,--basedir=}'[system that the kernel is in]:directory:_directories' \
    '(-m --moduledir)'{-m+,--moduledir=}'[where modules are below that]:directory:_directories' \
    '(-o --outdir)'{-o+,--outdir=}'[write the indexes there]:directory:_directories' \
    '*'{-C+,--config=}'[rules to read]:file:_files' \
    '(-E --symvers)'{-E+,--symvers=}'[Module.symvers of the kernel]:file:_files' \
    '(-F --filesyms)'{-F+,--filesyms=}'[System.map of the kernel]:file:_files' \
    '(-e --errsyms)'{-e,--errsyms}'[tell which symbols nobody has]' \
    '(-P --symbol-prefix)'{-P+,--symbol-prefix=}'[what is put before symbols]:character:' \
    '(-n --show --dry-run)'{-n,--show,--dry-run}'[print and write nothing]' \
    '(-w --warn)'{-w,--warn}'[tell of entries that are there twice]' \
    '*'{-v,--verbose}'[tell which module needs which]' \
    '--files-of=[write what that version of kmod writes]:version:(30 31 32 33 34)' \
    '--cache=[where to keep what was read]:directory:_directories' \
    '(- *)'{-V,--version}'[print the version]' \
    '(- *)'{-h,--help}'[print a summary]' \
    '1:kernel:compadd -- /lib/modules/*(N/:t)' \
    '*:module:_files -g "*.ko*"'
  return
fi

options=(
  '*'{-k,--kernelver}'[kernel to work for]:kernel:->kernels'
  '*'{-a,--arch}'[architecture of the kernel]:architecture:->arches'
  '(-m --module)'{-m,--module}'[module and version]:module:->modules'
  '-v[version of the module]:version:'
  '-c[dkms.conf to read]:dkms.conf:_files'
  '-j[number of jobs]:jobs:'
  '(-q --quiet)'{-q,--quiet}'[say nothing]'
  '--all[every kernel the module is built for]'
  '--all-kernels[every kernel, for autoinstall]'
  '--dry-run[print the plan and do nothing]'
  '--trace[write a timeline of the run]:file:_files'
  '--force[see the manual of the verb]'
  '--force-version-override[install even over a newer version]'
  '--archive=[archive to write or read]:file:_files'
  '(--source-only)--binaries-only[archive without the source]'
  '(--binaries-only)--source-only[archive without builds]'
  '--config=[configuration of the kernel]:file:_files'
  '--debug[tell what happens inside]'
  '*--directive=[override one line of dkms.conf]:NAME=value:'
  '--dkmstree=[where dkms keeps what it knows]:directory:_directories'
  '--installtree=[where kernels live]:directory:_directories'
  '--kernelsourcedir=[kernel headers to build against]:directory:_directories'
  '--modprobe-on-install[load what was installed]'
  '(--initramfs-later)--no-initramfs[leave the boot image alone]'
  '(--no-initramfs)--initramfs-later[note that the boot image is due]'
  '--no-depmod[leave the indexes of modules alone]'
  '--root=[work on the system below a directory]:directory:_directories'
  '--sourcetree=[where sources live]:directory:_directories'
  '--templatekernel=[kernel that match takes as its model]:kernel:->kernels'
  '--symlink-modules[install links instead of copies]'
  '--json[print JSON]'
  '--signing-key=[private key instead of the configured one]:file:_files'
  '--certificate=[certificate instead of the configured one]:file:_files'
  '--password-hash-file=[hash of the password for the next boot]:file:_files'
  '--verbose[show commands and their output]'
  '(- *)'{-V,--version}'[print the version]'
  '(- *)'{-h,--help}'[print a summary]'
)

_arguments -C -S $options '1:verb:->verbs' '*:module:->modules' && ret=0

dkmstree=${(e)opt_args[--dkmstree]:-/var/lib/dkms}
sourcetree=${(e)opt_args[--sourcetree]:-/usr/src}
installtree=${(e)opt_args[--installtree]:-/lib/modules}
verb=$line[1]

case $state in
  verbs)
    _describe -t verbs verb verbs && ret=0
    ;;
  modules)
    local -a pairs
    if [[ $verb == key && $CURRENT == 3 ]]; then
      compadd status enroll verify && ret=0
      return ret
    elif [[ $verb == sign || $verb == key ]]; then
      _files && ret=0
    fi
    if [[ $verb == ready ]]; then
      compadd -- $installtree/*(N/:t) && ret=0
      return ret
    elif [[ $verb == add ]]; then
      pairs=( $sourcetree/*-*/dkms.conf(N:h:t) )
      pairs=( ${(M)${pairs/(#m)*/${MATCH%-*}/${MATCH##*-}}:#*/*} )
    else
      pairs=( $dkmstree/*/*/source(N@:h) )
      pairs=( ${pairs#$dkmstree/} )
    fi
    compadd -a pairs && ret=0
    [[ $verb == (add|build|install) ]] && _directories && ret=0
    ;;
  kernels)
    compadd -- $installtree/*(N/:t) && ret=0
    ;;
  arches)
    compadd -- $(uname -m) && ret=0
    ;;
esac

return ret
