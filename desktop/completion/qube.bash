# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of qube(1) for bash: commands, names of qubes, properties.
_qube_names() {
    qube ls 2>/dev/null | awk 'NR > 1 { print $1 }'
}
_qube() {
    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "clone create disposable kill log ls prefs remove run shutdown start tags volume" -- "$word")
    elif [ "$command" = prefs ] && [ "$COMP_CWORD" = 3 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(qube prefs "${COMP_WORDS[2]}" 2>/dev/null | awk '{ print $1 }')" -- "$word")
    elif [ "$command" != create ] && [ "$command" != ls ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_qube_names)" -- "$word")
    fi
}
complete -F _qube qube
