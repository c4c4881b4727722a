"""The words of the dread rule, as data: for each weight its words, in families.

A family is written `stem/ending/ending`: `whisper/s/ed/ing` stands for whisper, whispers, whispered and whispering.
`stem-/ending` leaves the bare stem out: `horrif-/ied/ying` stands for horrified and horrifying. The forms of a family
share its weight, and are one word where the rule discounts repeats.

The words come from English at large. A weight says what a word does to a reader by itself: 3 is horror, 2 a plain sign
of dread, 1 unease, 0.5 the mere colour of a dark tale; -2 is the nursery and delight, -1 comfort, -0.5 plain daylight.
"""

DREAD: dict[float, str] = {
    3: """
        abhorr-/ed/ence/ent abominabl-/e/y abominat-/ion/ions accursed anguish/ed apparition/s aghast
        bloodcurdling bloodstain/s/ed bloodthirsty
        cadaver/s/ous carrion catacomb/s charnel corpse/s
        daemon/s/ic/iac/iacal damnation decapitat-/ed/ing/ion decompos-/ed/ing/ition
        demon/s/ic/iac/iacal diabolic/al/ally dismember/ed/ing/ment dread/s/ed/ing/ful/fully
        eldritch entrails eviscerat-/ed/ing execrable exhum-/e/ed/ing
        fiend/s/ish/ishly flayed flaying
        ghast-/ly/liness ghoul/s/ish ghoulishly gibber/ed/ing/s gore gory grisly gruesome/ly
        haunt/s/ed/ing hellish hideous/ly/ness horr-/or/ors/ible/ibly/id/idly horrif-/y/ied/ying/ic
        infernal inhuman/ly insan-/e/ely/ity loathsome/ness lunatic/s
        macabre madhouse mad/man/men/ness maggot/s malevolen-/t/tly/ce malign/ant/antly/ity mangl-/ed/ing
        mausoleum/s monstro-/us/usly/sity/sities morbid/ly morgue
        murder/s/ed/er/ers/ous/ing mutilat-/ed/ing/ion
        necromanc-/y/er/ers necropolis nightmar-/e/es/ish
        phantasm/s/al phantom/s poltergeist putrid putre-/fied/fying/faction/scent/scence
        revenant/s rotted rotting rotten
        scream/s/ed/ing sepulch-/re/res/er/ral shriek/s/ed/ing shroud/s/ed sinister/ly slaughter/ed/ing
        spectr-/e/es/al/ally
        specter/s strangl-/e/ed/ing/er strangulation supernatural/ly
        terror/s/ized/ised terrif-/y/ied/ying/ic torment/s/ed/ing/or/ors tortur-/e/ed/er/ers/ing
        undead unearthly unhallowed unholy unnam-/able/eable/ed unspeakabl-/e/y unutterabl-/e/y
        vampir-/e/es/ic/ism vile/ly/ness werewolf werewolves wraith/s
    """,
    2: """
        abyss/es/mal agon-/y/ies/ized/ised/izing/ising alarm/ed/ing appal-/l/led/ling/lingly asylum/s awe/d
        baleful/ly blasphem-/y/ies/ous/ously bleed/s/ing bled blood/s/y/ied bloodless bloodshot bogeyman bury buried
        burying burial/s butcher/ed/ing
        carcass/es cellar/s clammy claw/s/ed/ing coffin/s contort/ed/ing/ion convuls-/ed/ion/ions/ive/ively
        corrupt/ed/ion cower/ed/ing
        crawl/s/ed/ing creep/s/ing/y crept crypt/s cryptic curs-/e/es/ed/ing
        dagger/s damned dank/ness dark/ly/ness/er/est darken/s/ed/ing dead/ly/ness death/s/ly/like/less deathbed
        decay/s/ed/ing
        deform/ed/ity/ities delirious/ly delirium desolat-/e/ion despair/s/ed/ing/ingly despondency devil/s/ish/ry
        devour/s/ed/ing
        dirge/s disembodied disquiet/ed/ing/ude doom/s/ed drear/y/ily/iness drown/s/ed/ing dungeon/s dying
        eerie eerily emaciated entomb/ed/ment evil/s/ly executioner eyeless
        faceless fang/s/ed fatal/ly/ity fear/s/ed/ing/ful/fully/some fester/s/ed/ing foetid fetid forebod-/e/ing/ings
        forsaken foul/ly/ness frantic/ally frenz-/y/ied fright/s/ful/fully funereal
        gallows gaunt/ness ghost/s/ly gibbet/s gloom/y/ily/iness graveyard/s gravestone/s grave/s grim/ly/ness
        grotesque/ly
        groan/s/ed/ing growl/s/ed/ing gurgl-/ed/ing guttural/ly
        hallucinat-/ion/ions/ing hangman hearse/s hell hiss/es/ed/ing hollow/s/ly/ness howl/s/ed/ing
        hysteri-/a/cal/cally
        impal-/ed/ing imprecation/s incantation/s indescribabl-/e/y inexplicabl-/e/y inexorabl-/e/y
        kill/s/ed/er/ers/ing killings knell
        leer/s/ed/ing lifeless/ly livid loath-/e/ed/ing lurid/ly lurk/s/ed/ing
        madden/ed/ing maim/ed maniac/s/al massacre/d melanchol-/y/ic menac-/e/ed/ing/ingly midnight moan/s/ed/ing
        moulder/ed/ing molder/ed/ing
        nameless noose/s noxious numb/ed/ness occult ominous/ly omen/s
        pall pallid pallor paralys-/ed/is paralyz-/ed/ing pestilen-/ce/t/tial petrif-/ied/ying plague/s/d
        poison/s/ed/ing/ous
        portent/s/ous possessed premonition/s presentiment/s prowl/s/ed/ing
        recoil/s/ed/ing repuls-/ive/ion repugnan-/ce/t revolting revulsion rot/s
        sacrific-/e/ed/ial/ing scaffold scythe/s shackle/d/s shadow/s/y/ed shudder/s/ed/ing/ingly
        sicken/ed/ing/ingly skelet-/on/ons/al
        skull/s slain slay/s/ing slime slimy snarl/s/ed/ing soulless stab/s/bed/bing stench stifl-/ed/ing
        suffocat-/e/ed/ing/ion suicid-/e/al
        talon/s tentacle/s terribl-/e/y throttl-/e/ed/ing tomb/s tombstone/s trembl-/e/es/ed/ing tremulous/ly
        uncann-/y/ily unclean undertaker unnatural/ly unnerv-/ed/ing unseen
        vault/s vengeance vengeful venom/ous vermin vulture/s
        wail/s/ed/ing whisper/s/ed/ing/ings wicked/ly/ness woe/s/ful/fully wretch/es/ed/edly/edness writh-/e/es/ed/ing
    """,
    1: """
        abandon/ed/ment ache/d aching afraid agitat-/ed/ion alone altar/s ancestral anxi-/ety/eties/ous/ously ash/es
        ashen
        attic/s awful/ly axe/s
        barren basement/s battered beast/s befell bier black/ness blacken/ed/ing blank/ly bleak/ly/ness blindly
        blindness bone/s
        breathless/ly brood/ed/ing bruise/d/s burn/ed/ing burnt
        candle/s captive casket/s catastroph-/e/ic cavern/s/ous cemetery cemeteries chain/s/ed chasm/s
        chill/s/ed/ing/y choke/d/s
        choking churchyard/s clench/ed/ing cloak/ed clutch/ed/ing cobweb/s cold/ly/ness colder conceal/ed/ing/ment
        condemned
        corridor/s crack/ed/ing cracks creak/s/ed/ing/y crime/s croak/ed/ing crooked crouch/ed/ing crow/s cruel/ly/ty
        crumbl-/ed/ing cult/s cultists
        damp/ness danger/s/ous dangl-/ed/ing deafening decrepit delusion/s demented deprav-/ed/ity derelict
        despera-/te/tely/tion
        despis-/e/ed destr-/oyed/oyer/uction detest/ed/able die/s/d dim/ly/ness/med dire disappear/ance/ances
        disaster/s
        disease/s/d disgust/ed/ing dismal/ly distort/ed/ing/ion distress/ing disturb/ed/ing/ance doubtful
        drag/ged/ging dream/t
        drip/s/ped/ping dusk
        echo/es/ed/ing emptiness encroach/ed/ing engulf/ed/ing enigma/tic eternal/ly eternity expir-/e/ed/ing
        faint/ed/ing/ly/ness fate/d/ful feeble/ness feebly fever/s/ed/ish/ishly fierce/ly flame/s flee/s/ing fled
        flesh/y
        flicker/s/ed/ing flinch/ed/ing fog/s footfall/s footprint/s footstep/s forbidden forlorn/ly frail/ty
        frighten/s/ed/ing
        frozen funeral/s fungus fungi fungous fury furious/ly
        gasp/s/ed/ing gap-/ed/ing gash/es glar-/e/ed/ing gleam/s/ed/ing glimmer/ing/ed glimps-/e/ed/es gloat/ed/ing
        gnarled gnaw/s/ed/ing goblin/s grating grief grin/s/ned/ning grop-/ed/ing grudge guilt/y
        haggard hallway/s hatchet/s hatred hate/s/d heartbeat/s helpless/ly/ness hoarse/ly hopeless/ly/ness
        hush/ed
        icy immortal/ity impending impenetrable imprison/ed/ment incomprehensible infinit-/e/ely/y infest/ed
        intolerabl-/e/y
        intruder/s invisible irresistibl-/e/y isolat-/ed/ion
        jagged jaw/s jerk/ed/ing
        knife knives knock/ing/s
        labyrinth/ine lair/s lament/s/ed/able/ation/ations leper/s lethal limp/ly lock/ed/s lonel-/y/iness lonesome
        loom/ed/ing lunge/d
        malady malice malicious/ly mask/ed/s merciless/ly miasma/l miser-/y/able/ably mist/s/y monk/s monster/s
        moonless
        moonlight moonlit mortal/s/ity motionless/ly mould/y mold/y mourn/s/ed/ing/ful/fully/er/ers muffled murk/y
        murmur/s/ed/ing
        mute mutter/s/ed/ing myster-/y/ies/ious/iously
        nausea nauseat-/ed/ing nauseous nerve/s nervous/ly/ness nocturnal
        oblivion obscur-/e/ed/ity/ely obscene/ly obsess/ed/ion odor/s odour/s ooz-/e/ed/ing oppress/ed/ion/ive/ively
        orphan/ed
        pain/s/ed/ful/fully pale/r/d/ness panic/ked/king palpitat-/ing/ion/ions peer/ed/ing peril/s/ous
        perish/ed/ing persecut-/ed/ion
        perver-/se/sity/ted pierc-/ed/ing pit pitiless plead/ed/ing precipice/s predator/s prey presence prison/s
        profane/d
        puls-/ed/ing
        quak-/ed/ing quiver/s/ed/ing
        rag-/e/ing/ed rapping rat/s raven/s ravenous raving/s reek/s/ed/ing relentless/ly remorse rending
        restless/ly/ness
        rite/s ritual/s ruin/s/ed/ous rust/ed/y
        savage/ly scar/s/red scare/s/d scary scratch/es/ed/ing scuttl-/ed/ing secre-/t/ts/cy/tly seep/ed/ing
        seiz-/ed/ure/ures
        serpent/s severed shambl-/ed/ing shapeless shatter/ed/ing shiver/s/ed/ing shock/ed/ing shrill/y shrink/s/ing
        shrank
        shrunken shrivel/led/ed shun/ned sickly sickness sigh/s/ed/ing silen-/ce/t/tly silhouette/s sin/s/ful
        skulk/ed/ing
        slam/med/ming slither/s/ed/ing smother/ed/ing sneer/s/ed/ing sob/s/bed/bing solemn/ly/ity solitary solitude
        somber
        sombre/ly sorcer-/y/er/ers sorceress sorrow/s/ful/fully soul/s spasm/s spellbound spider/s spine/s
        squirm/ed/ing
        stagger/s/ed/ing stagnant stain/s/ed stalk/s/ed/ing/er star-/e/es/ed/ing stark/ly startl-/ed/ing
        starv-/ed/ing/ation
        stealth/y/ily stiff/ened/ly stillness straining strange/ly/ness stricken struggl-/ed/ing stumbl-/ed/ing stupor
        suffer/s/ed/ing/ings sullen/ly superstiti-/on/ons/ous surviv-/or/ors suspicio-/n/ns/us/usly swarm/s/ed/ing
        swollen
        swoon/ed/ing
        tatter-/s/ed tempest/uous tension thirst thorn/s threat/s threaten/s/ed/ing/ingly thud/s/ded/ding thunder/ed
        traged-/y/ies
        tragic transfixed trap/door trapdoor trapped tremor/s tumult twilight twist/ed/ing twitch/es/ed/ing
        unaccountabl-/e/y unbearabl-/e/y uncertain/ty unconscious/ly/ness uneas-/y/ily/iness unfathomabl-/e/y 
        unimaginabl-/e/y unknown unlit unreal/ity unrest unsettl-/ed/ing
        vacan-/t/tly/cy vague/ly vanish/es/ed/ing vapor/s vapour/s vein/s vicious/ly victim/s vigil/s
        violen-/t/tly/ce void vomit/ed/ing
        warn/ed/ings watcher/s weep/s/ing wept weird/ly whimper/s/ed/ing wild/ly witch/es witchcraft wither/ed/ing
        worm/s wound/s/ed
        wrath wreck/ed
    """,
    0.5: """
        abbey abrupt/ly ancient beheld behold beneath breath/s breathed breathing brink brow/s
        cave/s chamber/s cliff/s closet/s conscious/ness countenance/s cry cries
        depth/s descend/ed/ing desert/ed dust/y empty endless/ly entity entities exhausted eyes
        fallen fatigue figure/s flung forgotten grip/ped heavy heavily impulse instinctive/ly keyhole lamp/s
        linger/s/ed/ing lost marsh/es mirror/s moon/s moor/s narrow night/s nightfall nothing/ness overwhelm/ed/ing
        panting passage/s pause/d perceive/d perceptible queer/ly rigid/ly rustl-/e/ed/ing
        scarce/ly sensation/s senseless shut shutter/s/ed sleepless/ness stair/s staircase stone/s storm/s stormy
        stranger/s sudden/ness swamp/s sweat/ing teeth throat/s throb/s/bed/bing tower/s tunnel/s utter/ly uttered
        vast veil/s/ed vision/s waste/s waxen weary weariness winding
    """,
}

COMFORT: dict[float, str] = {
    -2: """
        adorable balloon/s bedtime berry berries birthday/s bubble/s bunny bunnies butterfly butterflies
        cake/s candy candies cartoon/s celebrat-/e/ed/ing/ion chocolate/s circus cookie/s cozy cosy crayon/s
        cuddl-/e/ed/es/ing/y cupcake/s cute dad daddy daddies dinosaur/s doggy dolly duckling/s
        fairy fairies fluffy fun funny giggl-/e/es/ed/ing/y giraffe/s grandma grandpa granny
        happ-/y/ily/iness/ier/iest hedgehog/s hooray hurray hurrah hug/s/ged/ging jam jelly joy/s/ful/fully/ous/ously
        kindergarten kite/s kitten/s kitty ladybug/s lamb/s lemonade lollipop/s lullaby lullabies
        mama merry merrily merriment mom mommy mum mummy muffin/s naughty nursery
        pancake/s party parties penguin/s picnic/s piglet/s play/s/ed/ing/ful/fully/ground/mate/mates/time pony ponies
        porridge princess/es pudding puppy puppies puppet/s puzzle/s rabbit/s rainbow/s
        sandbox sandcastle seesaw silly snack/s snowman snuggl-/e/ed/ing sparkl-/e/es/ed/ing/y squirrel/s sunshine
        sunny
        tasty teddy thank/s/ed/ful/fully tickl-/e/ed/ing toy/s treat/s tummy unicorn/s wonderful/ly yay yummy yum zoo
    """,
    -1: """
        admir-/e/ed/ing adventure/s affection/ate/ately amaz-/ed/ing apple/s baby babies bake/d baker/y baking
        banana/s
        bear/s beautiful/ly bee/s bicycle bike/s biscuit/s bless/ed/ing/ings blossom/s/ed bounce/d bouncing bouncy
        brave/ly bravery bread breakfast bright/ly/er brother/s butter carrot/s caterpillar/s charming
        cheer/s/ed/ing/ful/fully
        cheese cherry cherries chicken/s chick/s children chuckl-/e/ed/es/ing clap/ped/ping classmate/s clever/ly
        clown/s
        colorful colourful comfort/ed/able/ably/ing comfy contented/ly cottage cow/s cream curious
        daisy daisies dance/s/d dancing dear/est/ly delicious/ly delight/s/ed/ful/fully dinner doll/s donkey/s duck/s
        eager/ly elephant/s encourag-/ed/ing enjoy/s/ed/ing/able/ment excit-/ed/edly/ement/ing explor-/e/ed/ing
        family families farmer/s farmyard favorite/s favourite/s festival flower/s fond/ly forgive/n fox/es
        friend/s/ly/ship/ships
        frog/s fruit/s game/s garden/s/er/ing generous/ly gentle gently gift/s glad/ly gladness goat/s goodness
        goose geese
        grandmother grandfather grateful/ly gratitude hen/s holiday/s honey hop/s/ped/ping hope/s/d/ful/fully
        juic-/e/y kind/ly kindness kiss/es/ed/ing laugh/s/ed/ing/ter lesson/s love/s/d/ly lovable loving/ly
        luck/y/ily lunch
        magical/ly marvelous marvellous meadow/s melody melodies mice mouse nap/s nest/s nice/ly
        parrot/s peace/ful/fully petal/s pet/s picture/s pie/s pig/s pink please pleas-/ant/antly/ed/ure/ures
        polite/ly pond/s
        popcorn praise/d present/s pretty prince proud/ly relief reliev-/ed rescue/d reward/s ribbon/s robot/s rose/s
        sandwich/es scooter share/d sharing sheep shiny sing/s/ing singer slide/s smile/s/d smiling snowflake/s
        soccer song/s
        soup splash/ed/ing strawberry strawberries summer supper surprise/s surprised sweater sweet/s/ly/ness
        sweetest swing/s
        teach/er/ers tender/ly tenderness toast together treasure/s turtle/s twinkl-/e/ed/ing
        wagged wagging warm/ed/er/ly/th wedding welcome/d wish/es/ed wonder/s/ed yellow zebra/s
    """,
    -0.5: """
        animal/s arrow/s basket/s bath beach beauty bird/s bloom/s/ed/ing blue boat/s book/s boy/s breeze calm/ed/ly
        car/s care/s/d/ful/fully
        cat/s clean/ed/ing coat/s color/s colour/s cook/ed/ing couch cousin/s cup/s dish/es dog/s dress/es eat/s/ing
        ate egg/s
        farm/s father/s feast/s feather/s fish/es/ing fresh girl/s gold/en good grass/y green hat/s hello
        help/s/ed/er/ful/ing
        home honest/y horse/s hungry imagination island/s kitchen/s lake learn/ed/ing lemon/s little magic market
        marr-/y/ied/iage
        milk morning/s mother/s music musical neighbor/s neighbour/s neighborhood orange/s paint/s/ed/ing parents
        park/s patient/ly
        plant/s/ed/ing pretend/ed/ing promise/d quilt relax/ed/ing ride/s riding safe/ly safety sail/ed/ing school/s
        shine/s
        shoe/s shop/s sister/s skip/ped/ping sock/s soft/ly special spoon/s spring squeak/ed/y sugar sun/s sunrise
        swim/s/ming
        tail/s tea town train/s tree/s truck/s umbrella/s uncle vegetable/s village/s villager/s wash/ed wave/d
        waving wise wool/ly
    """,
}
