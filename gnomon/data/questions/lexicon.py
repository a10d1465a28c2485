"""What is known of English words: the classes of what questions ask for, and forms of verbs."""

from functools import lru_cache

from gnomon.data.questions.word_classes import WORD_CLASSES

_VERBS = """
accept achieve act add adorn affect allow appear apply arrest arrive ask attack attend attract award bear beat become
begin belong boast border break bring build bury buy call carry catch cause celebrate change claim combine come
command commit compete complete compose conquer consist contain contribute control convict cost cover create cross cut
dance deal declare defeat defend depict derive describe design destroy determine develop devote die direct discover
divide draw dress drink drive drop earn eat elect employ enclose end enjoy enter escape establish exist explain export
expose fall fear feature feed fight fill find finish fly follow force form found gain gave get give go grant graduate
grow handle hang happen hate have head hear help hide hit hold host house identify include inspire introduce invade
invent invest involve join jump keep kill know lack land last launch lay lead learn leave lie like live locate look
lose love lure make manage manufacture marry mean measure meet migrate move need offer open operate order organize
outlaw own paint pass pay perform pick pioneer plague play plug portray possess practice predict present preside
prevent print produce prohibit promise protect prove provide publish pull push put race raise rank reach read receive
record refer refuse reign release relate remain remove replace report represent require rescue reside retire return
reveal ride ring rise rob rule run sail save say scare see sell send separate serve set shape share shoot show sign
sing sink sit sleep sound span speak specialize spend split sponsor spread stand star start state stay steal stop
strike study succeed suffer suggest supply support surround survive swim symbolize take talk taste teach tell threaten
throw top touch tour trade train travel try turn use visit vote walk want warn watch wear weigh win wield work worship
write
"""
_PASTS = """
ate beat became began bit blew bore born bought broke brought built came caught chose cost cut did died dove drank
drew drove fed fell felt fled flew fought found froze gave got grew had heard held hit kept knew laid led left lent
lost made meant met paid put ran rang read rode rose said sang sank sat saw sent set shot slept sold spent spoke stood
stole struck swam swept taught thought threw told took went won wore wrote
"""

_ENDINGS = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""), ("men", "man"))
_WORDS: dict[str, tuple[str, ...]] = {}
_class = ""
for _word in WORD_CLASSES.split():
    if _word.endswith(":"):
        _class = _word[:-1]
    else:
        _WORDS[_word] = (*_WORDS.get(_word, ()), _class)

_FORMS = {form for verb in _VERBS.split() for form in (f"{verb}s", f"{verb}es", f"{verb[:-1]}ies")}
_FORMS |= set(_PASTS.split())


def is_verb(word: str) -> bool:
    """Return whether a word in small letters, behind a noun, is likely the verb of it."""
    return word in _FORMS or (len(word) > 4 and word.endswith("ed"))


@lru_cache(maxsize=1 << 16)
def classes_of(word: str) -> tuple[str, ...]:
    """Return the classes of a word in small letters; of its singular, found by its ending, where itself has none."""
    if found := _WORDS.get(word):
        return found
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and (found := _WORDS.get(word[: -len(ending)] + instead)):
            return found
    return ()
