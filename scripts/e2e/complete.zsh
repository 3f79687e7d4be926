#!/bin/zsh
#
# complete.zsh - print what zsh's completion offers at the end of a command line.
#
# usage: zsh -f complete.zsh TEXT
#
# Completion works in an interactive zsh only. So a second one, on a terminal of
# its own, has the text typed in and then a tab. In there the function compadd,
# by which completion functions say what they have found, writes it down.

zmodload zsh/zpty
offers=$(mktemp -d)
mkfifo $offers/bell
touch $offers/list

cat > $offers/setup << 'END'
# Where distributions look first; Debian does not.
fpath=(/usr/share/zsh/site-functions $fpath)
autoload -Uz compinit && compinit -u -D
unsetopt auto_list auto_menu beep
PS1=''
compadd() {
    # With -O, -A or -D it only answers the function that calls.
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
        local -a found
        builtin compadd -A found "$@"
        ((! $#found)) || print -rl -- $found >> $offers/list
    fi
    builtin compadd "$@"
}
zle-line-init() { print ready > $offers/bell; zle -D zle-line-init }
offer() { zle complete-word; print done > $offers/bell }
zle -N zle-line-init
zle -N offer
bindkey '^I' offer
END

zpty shell "offers=${(q)offers} zsh -f -i"
zpty -w shell "source ${(q)offers}/setup"
read -r bell < $offers/bell
zpty -n -w shell "$1"$'\t'
until [[ $bell = done ]]; do read -r bell < $offers/bell; done
cat $offers/list
zpty -d shell
rm -rf -- $offers
