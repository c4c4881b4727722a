"""The lexicon of the dread score: families of words by weight.

A family is written `stem/ending/ending`: `whisper/s/ed/ing` means whisper, whispers, whispered and whispering.
`stem-/ending` omits the bare stem: `horrif-/ied/ying` means horrified and horrifying. The forms of a family have the
same weight and count as repeats of one another.

The words are not specific to these stories. Weights: 3 horror, 2 a clear sign of dread, 1 unease, 0.5 dark mood; -2
nursery words and delight, -1 comfort, -0.5 everyday words.
"""

DREAD: dict[float, str] = {
    3: """
        abhorr-/ed/ence/ent abominabl-/e/y abominat-/ion/ions accursed aghast anguish/ed apparition/s
        bloodcurdling bloodstain/s/ed bloodthirsty cadaver/s/ous carrion catacomb/s charnel corpse/s
        daemon/s/ic/iac/iacal damnation decapitat-/ed/ing/ion decompos-/ed/ing/ition demon/s/ic/iac/iacal
        diabolic/al/ally dismember/ed/ing/ment dread/s/ed/ing/ful eldritch entrails eviscerat-/ed/ing
        execrable exhum-/e/ed/ing fiend/s/ish/ishly flay/ed/ing ghast-/ly/liness ghoul/s/ish ghoulishly
        gibber/ed/ing/s gore gory grisly gruesome/ly haunt/s/ed/ing hellish hideous/ly/ness
        horr-/or/ors/ible/ibly/id/idly horrif-/y/ied/ying/ic infernal inhuman/ly insan-/e/ely/ity
        loathsome/ness lunatic/s macabre mad-/man/men/ness madhouse maggot/s malevolen-/t/tly/ce
        malign/ant/antly/ity mangl-/ed/ing mausoleum/s monstro-/us/usly/sity/sities morbid/ly morgue
        murder/s/ed/er/ers/ous/ing mutilat-/ed/ing/ion necromanc-/y/er/ers necropolis nightmar-/e/es/ish
        phantasm/s/al phantom/s poltergeist putre-/fied/fying/faction/scent/scence putrid revenant/s
        rott-/ed/en/ing sepulch-/re/res/er/ral shriek/s/ed/ing shroud/s/ed sinister/ly slaughter/ed/ing
        specter/s spectr-/e/es/al/ally strangl-/e/ed/ing/er strangulation supernatural/ly
        terrif-/y/ied/ying/ic terror/s/ized/ised torment/s/ed/ing/or/ors tortur-/e/ed/er/ers/ing undead
        unearthly unhallowed unholy unnam-/able/eable/ed unspeakabl-/e/y unutterabl-/e/y vampir-/e/es/ic/ism
        vile/ly/ness werewolf werewolves wraith/s
    """,
    2: """
        abyss/es/mal agon-/y/ies/ized/ised/izing/ising alarm/ed/ing appal-/l/led/ling/lingly asylum/s
        avenge/d/r awe/d baleful/ly beware blasphem-/y/ies/ous/ously bled bleed/s/ing bloated blood/s/y/ied
        bloodless bloodshot bodies bogeyman burial/s buried bury burying butcher/ed/ing carcass/es cellar/s
        clammy coffin/s contort/ed/ing/ion convuls-/ed/ion/ions/ive/ively corrupt/ed/ion cower/ed/ing
        creep/s/ing creepy crypt/s cryptic curs-/e/es/ed/ing dagger/s damned dank/ness darken/s/ed/ing
        darkness dead/ly/ness death/s/ly/like/less deathbed decay/s/ed/ing deform/ed/ity/ities degenerate/s
        delirious/ly delirium desolat-/e/ion despair/s/ed/ing/ingly despondency devil/s/ish/ry devour/s/ed/ing
        dirge/s disembodied disquiet/ed/ing/ude doom/s/ed drear/y/ily/iness drown/s/ed/ing dungeon/s dying
        eerie eerily emaciated entomb/ed/ment evil/s/ly executioner eyeless faceless fang/s/ed fatal/ly/ity
        fear/s/ed/ing/ful/fully/some fester/s/ed/ing fetid foetid forebod-/e/ing/ings forsaken foul/ly/ness
        frantic/ally frenz-/y/ied fright/s/ful/fully funereal gallows gaunt/ness ghost/s/ly gibbet/s
        gloom/y/ily/iness gouge/s/d grave/s gravestone/s graveyard/s grim/ly/ness groan/s/ed/ing grotesque/ly
        growl/s/ed/ing gurgl-/ed/ing guttural/ly hallucinat-/ion/ions/ing hanged hangman hearse/s hell
        hiss/es/ed/ing hollow/s/ly/ness howl/s/ed/ing hysteri-/a/cal/cally impal-/ed/ing imprecation/s
        incantation/s indescribabl-/e/y inexorabl-/e/y inexplicabl-/e/y interment interred
        kill/s/ed/er/ers/ing killings knell leech/es leer/s/ed/ing lifeless/ly livid loath-/e/ed/ing lurid/ly
        lurk/s/ed/ing madden/ed/ing maim/ed maniac/s/al massacre/d melanchol-/y/ic menac-/e/ed/ing/ingly
        midnight moan/s/ed/ing molder/ed/ing moulder/ed/ing nameless noose/s noxious numb/ed/ness occult
        omen/s ominous/ly pall pallid pallor paralys-/ed/is paralyz-/ed/ing pestilen-/ce/t/tial
        petrif-/ied/ying plague/s/d poison/s/ed/ing/ous portent/s/ous possessed premonition/s presentiment/s
        prowl/s/ed/ing razor/s recoil/s/ed/ing repugnan-/ce/t repuls-/ive/ion revenge revolting revulsion
        rot/s sacrific-/e/ed/ial/ing scaffold scream/s/ed/ing shackle/d/s shadow/s/y/ed shudder/s/ed/ing/ingly
        sicken/ed/ing/ingly skelet-/on/ons/al skull/s slain slay/s/ing slime slimy snarl/s/ed/ing soulless
        soundless/ly squalid/ly stab/s/bed/bing stench stifl-/ed/ing suffocat-/e/ed/ing/ion suicid-/e/al
        talon/s tentacle/s terrible throttl-/e/ed/ing tomb/s tombstone/s trembl-/e/es/ed/ing tremulous/ly
        uncann-/y/ily unclean undertaker unnatural/ly unnerv-/ed/ing unseen vault/s vengeance vengeful
        venom/ous vermin vulture/s wail/s/ed/ing whisper/s/ed/ing/ings wicked/ly/ness woe/s/ful/fully
        wretch/es/ed/edly/edness writh-/e/es/ed/ing
    """,
    1: """
        abandon/ed/ment ache/d aching afraid agitat-/ed/ion alone altar/s ancestral anxi-/ety/eties/ous/ously
        ash/es ashen attic/s awful/ly axe/s barren basement/s bastard battered beast/s bedridden befell bier
        black/ness blacken/ed/ing blade/s blank/ly bleak/ly/ness blindly blindness blink/s/ed/ing blur/red
        bone/s breathless/ly brood/ed/ing bruise/d/s burn/ed/ing burnt candle/s captive casket/s
        catastroph-/e/ic cavern/s/ous ceaseless/ly cemeteries cemetery chasm/s chill/s/ed/ing/y choke/d/s
        choking churchyard/s claw/s/ed/ing clench/ed/ing cloak/ed clutch/ed/ing cobweb/s conceal/ed/ing/ment
        condemned conscience corridor/s cough/s/ed/ing crack/s/ed/ing crawl/s/ed/ing creak/s/ed/ing/y crept
        crime/s crimson croak/ed/ing crooked crouch/ed/ing crow/s cruel/ly/ty crumbl-/ed/ing cult/s cultists
        damp/ness danger/s dangl-/ed/ing dark/er/est/ly deafening decrepit delusion/s demented deprav-/ed/ity
        derelict despera-/te/tely/tion despis-/e/ed destr-/oy/oys/oyed/oyer/oying/uction detest/ed/able
        devastat-/ed/ing/ion die/s/d dig/ging dim/ly/ness/med dire disappear/ance/ances disaster/s disease/s/d
        disgust/ed/ing dismal/ly dissolution distort/ed/ing/ion distress/ing disturb/ed/ing/ance doubtful
        drag/ged/ging dreadfully dream/t drip/s/ped/ping dug dull/y dusk echo/es/ed/ing emptiness
        encroach/ed/ing engulf/ed/ing enigma/tic eternal/ly eternity executed execution/s expir-/e/ed/ing
        eyeball/s eyelid/s faint/ed/ing/ly/ness fate/d/ful feeble/ness feebly fever/s/ed/ish/ishly fierce/ly
        filth/y flame/s fled flee/s/ing flesh/y flicker/s/ed/ing flinch/ed/ing fog/s footfall/s footprint/s
        footstep/s forbidden forlorn/ly frail/ty frighten/s/ed/ing frozen funeral/s fungi fungous fungus
        furious/ly fury gap-/ed/ing gash/es gasp/s/ed/ing glar-/e/ed/ing gleam/s/ed/ing glimmer/ing/ed
        glimps-/e/ed/es gloat/ed/ing gnarled gnaw/s/ed/ing goblin/s grating grief grin/s/ned/ning grop-/ed/ing
        grudge guilt/y guts haggard hallway/s hatchet/s hate/s/d hatred heartbeat/s helpless/ly/ness hoarse/ly
        hooded hopeless/ly/ness hush/ed icy immortal/ity impending impenetrable imprison/ed/ment
        incomprehensible infest/ed infinit-/e/ely/y insufferabl-/e/y insult/s/ed intolerabl-/e/y intruder/s
        invisible irresistibl-/e/y isolat-/ed/ion jagged jaw/s jerk/ed/ing knife knives knock/ing/s
        labyrinth/ine lair/s lament/s/ed/able/ation/ations leper/s lethal limb/s limp/ly lonel-/y/iness
        lonesome loom/ed/ing lunge/d mad malady malice malicious/ly mask/ed/s merciless/ly miasma/l
        miser-/y/able/ably mist/s/y mold/y monk/s monster/s moonless moonlight moonlit mortal/s/ity
        motionless/ly mould/y mourn/s/ed/ing/ful/fully/er/ers muffled murk/y murmur/s/ed/ing mute
        mutter/s/ed/ing myster-/y/ies/ious/iously nailed nausea nauseat-/ed/ing nauseous nerve/s
        nervous/ly/ness nocturnal oblivion obscene/ly obscur-/e/ed/ity/ely obsess/ed/ion odor/s odour/s
        ooz-/e/ed/ing oppress/ed/ion/ive/ively orphan/ed pain/s/ed/ful/fully pale/r/d/ness
        palpitat-/ing/ion/ions panic/ked/king peer/ed/ing peril/s/ous perish/ed/ing persecut-/ed/ion
        perver-/se/sity/ted pierc-/ed/ing pit pitiless plead/ed/ing precipice/s predator/s presence prey
        prison/s profane/d puls-/ed/ing quak-/ed/ing quiver/s/ed/ing rag-/e/ing/ed rapping rat/s
        rattl-/e/ed/ing raven/s ravenous raving/s reek/s/ed/ing relentless/ly remorse rending restless/ly/ness
        rite/s ritual/s ruin/s/ed/ous rust/ed/y savage/ly scalp scalpel scar/s scarred scratch/es/ed/ing
        scuttl-/ed/ing scythe/s secre-/t/ts/cy/tly seep/ed/ing seiz-/ed/ure/ures serpent/s severed
        shambl-/ed/ing shapeless shatter/ed/ing shiver/s/ed/ing shock/ed/ing shrank shrill/y shrink/s/ing
        shrivel/led/ed shrunken shun/ned sick sickly sickness sigh/s/ed/ing silen-/ce/t/tly silhouette/s
        sin/s/ful siren/s skulk/ed/ing slam/med/ming slavery slither/s/ed/ing smother/ed/ing sneer/s/ed/ing
        sob/s/bed/bing socket/s solemn/ly/ity solitary solitude somber sombre/ly sorcer-/y/er/ers sorceress
        sorrow/s/ful/fully soul/s spasm/s spellbound spider/s spine/s spook/ed spooky squirm/ed/ing
        stagger/s/ed/ing stagnant stain/s/ed stalk/s/ed/ing/er star-/e/es/ed/ing stark/ly startl-/ed/ing
        starv-/ed/ing/ation stealth/y/ily stiff/ened/ly stillness straining strange/ly/ness stricken
        struggl-/ed/ing stumbl-/ed/ing stupor suffer/s/ed/ing/ings sullen/ly superstiti-/on/ons/ous
        surviv-/or/ors suspicio-/n/ns/us/usly swarm/s/ed/ing swollen swoon/ed/ing sword/s tatter-/s/ed
        tempest/uous tension terribly thirst thorn/s threat/s threaten/s/ed/ing/ingly thud/s/ded/ding
        thunder/ed toad/s toll/ed/ing traged-/y/ies tragic transfixed trap trapdoor/s trapped tremor/s tumult
        twilight twist/ed/ing twitch/es/ed/ing unaccountabl-/e/y unbearabl-/e/y uncertain/ty
        unconscious/ly/ness uneas-/y/ily/iness unfathomabl-/e/y unimaginabl-/e/y unknown unlit unreal/ity
        unrest unsettl-/ed/ing unsteady untenanted vacan-/t/tly/cy vague/ly vanish/es/ed/ing vapor/s vapour/s
        vein/s vicious/ly victim/s vigil/s violen-/t/tly/ce void vomit/ed/ing warn/ed/ings watcher/s
        weep/s/ing weird/ly wept whimper/s/ed/ing wild/ly windowless witch/es witchcraft wither/ed/ing worm/s
        wound/s/ed wrath wreck/ed
    """,
    0.5: """
        abbey abrupt/ly ancient anyone beheld behind behold beneath body breath/s breathed breathing brink
        brow/s cave/s chain/s/ed chamber/s cliff/s clock closet/s cold/ly/ness colder conscious/ness corner/s
        countenance/s cries cry dangerous depth/s descend/ed/ing desert/ed dust/y empty endless/ly entities
        entity exhausted eyes face/s fallen fatigue figure finger/s fingernail/s flung forgotten gaze/d gazing
        grip/ped hear/d heavily heavy hook/s impulse instinctive/ly keyhole lamp/s lid linger/s/ed/ing lip/s
        listen/s/ed/ing locked marsh/es mirror/s moon/s moor/s mouth/s narrow night/s nightfall nobody
        nothing/ness overwhelm/ed/ing owl/s panting passage/s pause/d peculiar/ly perceive/d perceptible
        queer/ly rigid/ly rope/s rustl-/e/ed/ing scar-/y/ier/iest scarce/ly scare/s/d scarlet sensation/s
        senseless shut shutter/s/ed singular/ly skin sleepless/ness somebody someone something sound/s stair/s
        staircase stone/s stood storm/s stormy stranger/s sudden/ness surgeon swamp/s sweat/ing teeth throat/s
        throb/s/bed/bing tick/ed/ing tongue tower/s trickl-/e/ed/ing tunnel/s utter/ly uttered vast veil/s/ed
        vision/s voice/s waste/s waxen weariness weary winding window/s wrist/s wrong
    """,
}

COMFORT: dict[float, str] = {
    -2: """
        adorable balloon/s bedtime berries berry birthday/s bubble/s bunnies bunny butterflies butterfly
        cake/s candies candy cartoon/s celebrat-/e/ed/ing/ion chocolate/s circus cookie/s cosy cozy crayon/s
        cuddl-/e/ed/es/ing/y cupcake/s cute daddies daddy dinosaur/s doggy dolly duckling/s fairies fairy
        fluffy fun funny giggl-/e/es/ed/ing/y giraffe/s grandma granny happ-/y/ily/iness/ier/iest hedgehog/s
        hooray hug/s/ged/ging hurrah hurray jam jelly joy/s/ful/fully/ous/ously kindergarten kite/s kitten/s
        kitty ladybug/s lamb/s lemonade lollipop/s lullabies lullaby mama merrily merriment merry mommy
        muffin/s naughty nursery pancake/s penguin/s picnic/s piglet/s ponies pony porridge princess/es
        pudding puppet/s puppies puppy puzzle/s rabbit/s rainbow/s sandbox sandcastle seesaw silly snack/s
        snowman snuggl-/e/ed/ing sparkl-/e/es/ed/ing/y squirrel/s sunny sunshine tasty teddy
        thank/s/ed/ful/fully tickl-/e/ed/ing toy/s treat/s tummy unicorn/s wonderful/ly yay yum yummy zoo
    """,
    -1: """
        acorn/s admir-/e/ed/ing adventure/s affection/ate/ately amaz-/ed/ing apple/s babies baby banana/s
        beautiful/ly bee/s bicycle bike/s biscuit/s bless/ed/ing/ings blossom/s/ed bounce/d bouncing bouncy
        brave/ly bravery bread breakfast bright/ly/er carrot/s caterpillar/s charming cheer/s/ed/ing/ful/fully
        cheese cherries cherry chick/s chicken/s children chirp/ed/ing christmas chuckl-/e/ed/es/ing
        clap/ped/ping classmate/s clever/ly clown/s cluck/ed colorful colourful comfort/ed/able/ably/ing comfy
        contented/ly cottage cow/s cream cuckoo dad daisies daisy dance/s/d dancing dear/est/ly delicious/ly
        delight/s/ed/ful/fully dinner doll/s donkey/s duck/s eager/ly elephant/s elf elves encourag-/ed/ing
        enjoy/s/ed/ing/able/ment excit-/ed/edly/ement/ing explor-/e/ed/ing families family farmer/s farmyard
        favorite/s favourite/s festival flower/s fond/ly forgive/n fox/es friend/s/ly/ship/ships frog/s
        fruit/s garden/s/er/ing geese generous/ly gentle gently gift/s glad/ly gladness goat/s goodness goose
        grandfather grandmother grandpa grateful/ly gratitude hen/s holiday/s honey hop/s/ped/ping juic-/e/y
        kindness kiss/es/ed/ing laugh/s/ed/ing/ter lovable love/s/d/ly loving/ly luck/y/ily lunch magical/ly
        marvellous marvelous meadow/s melodies melody meow/ed mermaid/s mice mischief mom mum nap/s nest/s
        nice/ly park parrot/s parties party peace/ful/fully pet/s petal/s pie/s pig/s
        play/s/ed/ing/ful/fully/mate/mates/time playground pleas-/ant/antly/ed/ure/ures please polite/ly
        pond/s popcorn praise/d presents pretty prince proud/ly quack/ed rejoic-/e/ed/ing relie-/f/ved
        rescue/d reward/s ribbon/s robin/s robot/s sang scooter share/d sharing sheep shiny sing/s/ing singer
        smile/s/d smiling snowflake/s soccer song/s soup splash/ed/ing splendid/ly strawberries strawberry
        summer sunbeam/s sung supper surpris-/e/es/ed/ing sweater sweet/s/ly/ness sweetest teach/er/ers
        tender/ly tenderness toast toddler/s tortoise treasure/s turtle/s twinkl-/e/ed/ing wagged wagging
        warm/ed/er/ly/th wedding welcome/d zebra/s
    """,
    -0.5: """
        animal/s ate bake/d/r bakery baking basket/s bear/s beauty bird/s bloom/s/ed/ing boy/s breeze
        brother/s butter cabbage/s calm/ed/ly cat/s clean/ed/ing cousin/s crown dog/s eat/s/ing egg/s
        embrac-/e/ed/ing farm/s father/s feast/s feather/s fresh fur game/s girl/s gold/en hare harvest hat/s
        hello honest/y hope/s/d/ful/fully hungry imagination jacket/s kind/ly king/s kingdom kitchen/s lark
        lemon/s lesson/s little magic marr-/y/ied/iage milk mother/s music musical neighbor/s neighborhood
        neighbour/s nightingale nut/s orchard palace parents patient/ly paw/s peep/ed pink potato/es promise/d
        queen/s quilt relax/ed/ing ride/s riding roses safe/ly safety sandwich/es saved school/s shine/s
        sister/s skip/ped/ping snoring sock/s soft/ly sparrow/s spring squeak/ed/y stork/s sugar sun/s sunrise
        swan/s swim/s/ming swing/s tail/s tea tidy together turnip/s umbrella/s uncle vegetable/s whiskers
        wish/es/ed wool/ly yawned
    """,
}
